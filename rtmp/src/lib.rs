//! RTMP, sans-IO: sessions of encoders, players and Flash-era room clients, and the bridge between
//! FLV and RTP.
//!
//! It opens no socket, reads no clock and draws no entropy: what it does is a function of what goes
//! in.

#![forbid(unsafe_code)]

pub mod bridge;
pub mod flv;
