//! What clients get for what they call.

use super::commands::Call;
use crate::amf0::Value;
use crate::bridge::Declared;
use crate::limits::ACK_WINDOW;
use crate::limits::CHUNK_BYTES_OUT;
use crate::message::kind;
use crate::outbox::{Level, Outbox, object, status};

/// Ends a call that succeeded.
pub(super) fn result(call: &Call, values: impl IntoIterator<Item = Value>, out: &mut Outbox) {
    if call.transaction != 0.0 {
        let values = [Value::Null].into_iter().chain(values);
        out.push_command(0, "_result", call.transaction, values);
    }
}

/// Ends a call that failed.
pub(super) fn error(call: &Call, sentence: &str, out: &mut Outbox) {
    if call.transaction != 0.0 {
        let status = status(Level::Error, "NetConnection.Call.Failed", sentence);
        out.push_command(0, "_error", call.transaction, [Value::Null, status]);
    }
}

/// Establishes the session.
pub(super) fn connected(call: &Call, client: &Value, out: &mut Outbox) {
    out.push_number(kind::WINDOW, ACK_WINDOW);
    let dynamic = [&ACK_WINDOW.to_be_bytes()[..], &[2]].concat();
    out.push(kind::PEER_BANDWIDTH, 0, 0, &dynamic);
    out.push_number(kind::SET_CHUNK_SIZE, CHUNK_BYTES_OUT as u32);
    out.writer.enlarge_chunks();
    out.push_begin(0);
    let server = object([
        ("fmsVer", "FMS/5,0,15,5004".into()),
        ("capabilities", 31.0.into()),
        ("mode", 1.0.into()),
    ]);
    let mut success = status(
        Level::Status,
        "NetConnection.Connect.Success",
        "Connection succeeded.",
    );
    if let Value::Object(fields) = &mut success {
        fields.push(("objectEncoding".to_owned(), 0.0.into()));
        let version = concat!("Parlor/", env!("CARGO_PKG_VERSION"));
        fields.push(("version".to_owned(), version.into()));
        // Only who knows of Enhanced RTMP is told what of it is known here.
        if client.get("fourCcList").is_some() || client.get("videoFourCcInfoMap").is_some() {
            let codecs = ["avc1", "vp08", "mp4a", "Opus"].map(Value::from).to_vec();
            fields.push(("fourCcList".to_owned(), Value::Array(codecs)));
        }
    }
    out.push_command(0, "_result", call.transaction, [server, success]);
}

/// What a client says in `connect` that it can play.
pub(super) fn declared(client: &Value) -> Declared {
    const G711: u32 = 0x0080 | 0x0100;
    let lists = |map: &str, four_cc: &str| {
        let listed = match client.get("fourCcList") {
            Some(Value::Array(list)) => {
                let mut list = list.iter().filter_map(Value::as_str);
                list.any(|listed| listed == four_cc || listed == "*")
            }
            _ => false,
        };
        let map = client.get(map);
        let mapped = |name| map.is_some_and(|map| map.get(name).is_some());
        listed || mapped(four_cc) || mapped("*")
    };
    let audio = client.get("audioCodecs").and_then(Value::as_number);
    Declared {
        opus: lists("audioFourCcInfoMap", "Opus"),
        vp8: lists("videoFourCcInfoMap", "vp08"),
        g711: audio.is_some_and(|codecs| codecs as u32 & G711 == G711),
    }
}

/// Answers `FCPublish` and `FCUnpublish`, which encoders call beside `publish`.
pub(super) fn fc(call: &Call, method: &str, code: &str, out: &mut Outbox) {
    result(call, [Value::Undefined], out);
    let name = call.text(0).unwrap_or_default();
    let status = object([("code", code.into()), ("description", name.into())]);
    out.push_command(0, method, 0.0, [Value::Null, status]);
}

pub(super) fn published(stream: u32, out: &mut Outbox) {
    out.push_begin(stream);
    out.push_status(
        stream,
        Level::Status,
        "NetStream.Publish.Start",
        "You publish.",
    );
}

pub(super) fn unpublished(stream: u32, out: &mut Outbox) {
    let code = "NetStream.Unpublish.Success";
    out.push_status(stream, Level::Status, code, "You no longer publish.");
}

pub(super) fn playing(stream: u32, out: &mut Outbox) {
    out.push_begin(stream);
    out.push_status(
        stream,
        Level::Status,
        "NetStream.Play.Reset",
        "The stream is new.",
    );
    out.push_status(stream, Level::Status, "NetStream.Play.Start", "You play.");
}

/// The client no longer plays.
pub(super) fn stopped(stream: u32, out: &mut Outbox) {
    out.push_status(
        stream,
        Level::Status,
        "NetStream.Play.Stop",
        "You no longer play.",
    );
}

/// What was played is over.
pub(super) fn ended(stream: u32, out: &mut Outbox) {
    out.push_eof(stream);
    let code = "NetStream.Play.UnpublishNotify";
    out.push_status(stream, Level::Status, code, "The stream is over.");
    out.push_status(
        stream,
        Level::Status,
        "NetStream.Play.Stop",
        "The stream is over.",
    );
}

pub(super) fn cannot_seek(stream: u32, out: &mut Outbox) {
    let code = "NetStream.Seek.Failed";
    out.push_status(
        stream,
        Level::Error,
        code,
        "What is live cannot be sought in",
    );
}

/// The connection is over.
pub(super) fn closed(sentence: &str, out: &mut Outbox) {
    let status = status(Level::Status, "NetConnection.Connect.Closed", sentence);
    out.push_command(0, "onStatus", 0.0, [Value::Null, status]);
}
