//! The simulator and the fuzz entry points of Parlor.
