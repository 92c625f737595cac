//! The Parlor server: reactor, sockets, TLS, configuration.
