//! The whole server on real sockets of this machine.

mod client;
mod hostile;
mod process;
mod server;
mod serving;
