//! What clients get, in the form in which the SDKs read it: every message has a `data` array.

use parlor_core::{
    AudioCodec, EndReason, Identity, MediaKind, Member, Muted, PublicationName, RequestError,
    ResumeToken, RoomName, Said, VideoCodec, limits::HISTORY_MESSAGES,
};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::outbox::Outbox;
use crate::wcs::message::{Direction, Hello, Id};
use crate::wcs::stream::Stream;

/// Establishes the session. The client's token is not repeated.
pub(super) fn get_user_data(hello: &Hello, rtmp: Option<u16>, out: &mut Outbox) {
    // What is added to WCS here, for clients that know of it.
    let room = json!({ "history": HISTORY_MESSAGES });
    let version = env!("CARGO_PKG_VERSION");
    let mut data = json!({ "parlor": { "version": version, "room": room } });
    if let Some(port) = rtmp {
        data["parlor"]["rtmp"] = json!(port);
    }
    if let Some(app_key) = &hello.app_key {
        data["appKey"] = json!(app_key);
    }
    if let Ok(login) = &hello.login {
        data["custom"] = json!({ "login": login.as_str() });
    }
    out.push_message("getUserData", [data]);
}

pub(super) fn ping(out: &mut Outbox) {
    out.push_message("ping", [Value::Null]);
}

pub(super) fn pong(out: &mut Outbox) {
    out.push_message("pong", [Value::Null]);
}

/// Tells the session that one of its messages had no effect.
pub(super) fn fail(method: &str, sentence: &str, out: &mut Outbox) {
    out.push_message("fail", [json!({ "apiMethod": method, "info": sentence })]);
}

/// Tells a client that its place in a room has been taken by one that knew its token.
pub(super) fn replaced(room: &RoomName, out: &mut Outbox) {
    let info = "You have joined this room from elsewhere";
    let data = json!({ "apiMethod": "join", "info": info, "room": room.as_str() });
    out.push_message("fail", [data]);
}

/// Ends a room command.
pub(super) fn data_status(operation: &Id, result: Result<(), &str>, out: &mut Outbox) {
    let operation = operation.as_str();
    let data = match result {
        Ok(()) => json!({ "operationId": operation, "status": "ACCEPTED" }),
        Err(info) => json!({ "operationId": operation, "status": "FAILED", "info": info }),
    };
    out.push_message("DataStatusEvent", [data]);
}

/// Ends a join that succeeded. The token is an addition to WCS: the published SDKs do not read it.
pub(super) fn joined(operation: &Id, resume: &ResumeToken, out: &mut Outbox) {
    let data = json!({
        "operationId": operation.as_str(),
        "status": "ACCEPTED",
        "resume": resume.0,
    });
    out.push_message("DataStatusEvent", [data]);
}

/// What was said to everyone, oldest first; ages in milliseconds.
pub(super) fn history(history: &[Said]) -> Value {
    let said = |said: &Said| {
        let age = u64::try_from(said.age.as_millis()).unwrap_or(u64::MAX);
        json!({ "from": said.from.as_str(), "text": said.text, "age": age })
    };
    Value::Array(history.iter().map(said).collect())
}

/// Whether somebody speaks.
pub(super) fn speaking(identity: &Identity, speaking: bool) -> Value {
    json!({ "login": identity.as_str(), "speaking": speaking })
}

/// Tells something of a room.
pub(super) fn on_data(
    operation: u64,
    room: &RoomName,
    event: &'static str,
    info: Value,
    out: &mut Outbox,
) {
    let payload = json!({ "roomName": room.as_str(), "name": event, "info": info });
    let data = json!({ "operationId": operation.to_string(), "payload": payload });
    out.push_message("OnDataEvent", [data]);
}

/// The participants of a room as `STATE` tells them: a bare login for who publishes nothing, else
/// one object for each publication. Never both: the SDK would forget the streams again.
pub(super) fn state(members: &[Member]) -> Value {
    let entries = members.iter().flat_map(|member| {
        let bare = member
            .publications
            .is_empty()
            .then(|| json!(member.identity.as_str()));
        let streams = member
            .publications
            .iter()
            .map(|name| publication(&member.identity, name));
        bare.into_iter().chain(streams)
    });
    Value::Array(entries.collect())
}

/// A publication as room events tell it.
pub(super) fn publication(identity: &Identity, name: &PublicationName) -> Value {
    json!({ "login": identity.as_str(), "name": name.as_str() })
}

pub(super) fn remote_sdp(id: &Id, sdp: &str, out: &mut Outbox) {
    // The third argument says that the client is the initiator; the Android SDK insists on it.
    out.push_message("setRemoteSDP", (id.as_str(), sdp, true));
}

/// Media flows.
pub(super) fn live(stream: &Stream, out: &mut Outbox) {
    let Muted { audio, video } = stream.muted;
    let mut status = status(&stream.id, Some(stream.name.as_str()), stream.direction);
    status["status"] = json!(match stream.direction {
        Direction::Publish => "PUBLISHING",
        Direction::Play => "PLAYING",
    });
    status["hasAudio"] = json!(stream.audio);
    status["hasVideo"] = json!(stream.video);
    status["audioState"] = json!({ "muted": audio });
    status["videoState"] = json!({ "muted": video });
    out.push_message("notifyStreamStatusEvent", [status]);
}

/// The stream is over, by the will of the client.
pub(super) fn stopped(id: &Id, name: Option<&str>, direction: Direction, out: &mut Outbox) {
    let mut status = status(id, name, direction);
    status["status"] = json!(stopped_status(direction));
    status["info"] = json!("Stopped by user");
    out.push_message("notifyStreamStatusEvent", [status]);
}

/// The stream did not come about.
pub(super) fn failed(
    id: &Id,
    name: Option<&str>,
    direction: Direction,
    info: &str,
    out: &mut Outbox,
) {
    let mut status = status(id, name, direction);
    status["status"] = json!("FAILED");
    status["info"] = json!(info);
    out.push_message("notifyStreamStatusEvent", [status]);
}

/// The stream is over, without the client having asked for it.
pub(super) fn ended(stream: &Stream, reason: EndReason, out: &mut Outbox) {
    let stopped = stopped_status(stream.direction);
    let (ended, info) = match reason {
        EndReason::PublisherStopped => (stopped, "Stopped by publisher stop"),
        EndReason::ConnectTimeout => ("FAILED", "Failed by ICE timeout"),
        EndReason::ConsentExpired => ("FAILED", "Failed by ICE keep alive"),
        EndReason::DtlsFailed => ("FAILED", "Failed by DTLS error"),
        // The SDK closes its connection before its stop is on the wire.
        EndReason::Closed => (stopped, "Stopped by user"),
        EndReason::Failed => ("FAILED", "Failed by error"),
    };
    let mut status = status(&stream.id, Some(stream.name.as_str()), stream.direction);
    status["status"] = json!(ended);
    status["info"] = json!(info);
    out.push_message("notifyStreamStatusEvent", [status]);
}

fn stopped_status(direction: Direction) -> &'static str {
    match direction {
        Direction::Publish => "UNPUBLISHED",
        Direction::Play => "STOPPED",
    }
}

fn status(id: &Id, name: Option<&str>, direction: Direction) -> Value {
    let mut status = json!({
        "mediaSessionId": id.as_str(),
        "published": direction == Direction::Publish,
        "mediaProvider": "WebRTC",
        "record": false,
    });
    if let Some(name) = name {
        status["name"] = json!(name);
    }
    status
}

/// What the info of a refused request says: where WCS has a text for it, that one.
pub(super) fn refusal(error: &RequestError) -> String {
    match error {
        RequestError::NoSuchPublication => "Stream not found".to_owned(),
        RequestError::PublicationNameInUse => "Stream name is already in use".to_owned(),
        RequestError::MediaInUse => "MediaSessionId is already in use".to_owned(),
        RequestError::NoCommonCodecs => "No common codecs".to_owned(),
        RequestError::IdentityInUse(_)
        | RequestError::AlreadyJoined
        | RequestError::NotInRoom
        | RequestError::NoSuchParticipant(_)
        | RequestError::NoSuchMedia
        | RequestError::BadOffer(_)
        | RequestError::TooMany(_)
        | RequestError::TooLong { .. }
        | RequestError::Busy
        | RequestError::InVain => error.to_string(),
    }
}

/// The publication that is played has muted something, or has unmuted it.
pub(super) fn muted(stream: &Stream, kind: MediaKind, muted: bool, out: &mut Outbox) {
    let event = match (kind, muted) {
        (MediaKind::Audio, true) => "audioMuted",
        (MediaKind::Audio, false) => "audioUnmuted",
        (MediaKind::Video, true) => "videoMuted",
        (MediaKind::Video, false) => "videoUnmuted",
    };
    let payload = json!({ "streamName": stream.name.as_str() });
    stream_event(&stream.id, event, &payload, out);
}

/// The publication that is played sends data: JSON text, or else it arrives as text.
pub(super) fn data(stream: &Stream, payload: &str, out: &mut Outbox) {
    match serde_json::from_str::<&RawValue>(payload) {
        Ok(payload) => stream_event(&stream.id, "data", &payload, out),
        Err(_) => stream_event(&stream.id, "data", &payload, out),
    }
}

/// Somebody could not play the publication; the names are those of SDP's `rtpmap`.
pub(super) fn codec_mismatch(
    stream: &Stream,
    audio: &[AudioCodec],
    video: &[VideoCodec],
    out: &mut Outbox,
) {
    let audio = audio.iter().map(|codec| match codec {
        AudioCodec::Opus => "opus",
        AudioCodec::Pcmu => "PCMU",
        AudioCodec::Pcma => "PCMA",
    });
    let video = video.iter().map(|codec| match codec {
        VideoCodec::H264 => "H264",
        VideoCodec::Vp8 => "VP8",
    });
    let payload = json!({ "audio": audio.collect::<Vec<_>>(), "video": video.collect::<Vec<_>>() });
    stream_event(&stream.id, "codecMismatch", &payload, out);
}

pub(super) fn snapshot_failed(id: &Id, out: &mut Outbox) {
    let payload = json!({ "info": "This server takes no snapshots" });
    stream_event(id, "snapshotFailed", &payload, out);
}

fn stream_event(id: &Id, event: &'static str, payload: &impl serde::Serialize, out: &mut Outbox) {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Event<'a, P> {
        media_session_id: &'a str,
        r#type: &'static str,
        payload: &'a P,
    }
    let data = Event {
        media_session_id: id.as_str(),
        r#type: event,
        payload,
    };
    out.push_message("notifyStreamEvent", [data]);
}

/// Whether a stream can be played; the SDK compares with the text `true`.
pub(super) fn available(id: &Id, result: Result<(), &str>, out: &mut Outbox) {
    let data = match result {
        Ok(()) => json!({ "id": id.as_str(), "status": "true", "info": "" }),
        Err(info) => json!({ "id": id.as_str(), "status": "false", "info": info }),
    };
    out.push_message("availableStream", [data]);
}
