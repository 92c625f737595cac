//! What clients call (RTMP 1.0 §7.2).

use std::time::Instant;

use super::{App, End, Role, Session, answer, flash};
use crate::amf0::{self, Value};
use crate::chunk::Message;
use crate::limits::STREAMS;
use crate::message;
use crate::outbox::{Level, Outbox};

/// A call, taken apart.
pub(super) struct Call {
    pub(super) name: String,
    /// What an answer is to carry; zero where none is expected.
    pub(super) transaction: f64,
    /// The object that `connect` describes the client with, null elsewhere.
    object: Value,
    pub(super) arguments: Vec<Value>,
    /// The message stream that it is about.
    pub(super) stream: u32,
}

impl Call {
    fn read(message: &Message) -> Result<Self, End> {
        let values = amf0::read_all(&message::amf0(message));
        let mut values = values
            .map_err(|_| End::Broken("a command is malformed"))?
            .into_iter();
        let Some(Value::String(name)) = values.next() else {
            return Err(End::Broken("a command has no name"));
        };
        let transaction = values.next().and_then(|value| value.as_number());
        Ok(Self {
            name,
            transaction: transaction.unwrap_or_default(),
            object: values.next().unwrap_or(Value::Null),
            arguments: values.collect(),
            stream: message.stream,
        })
    }

    /// The text at this place of the arguments.
    pub(super) fn text(&self, place: usize) -> Option<&str> {
        self.arguments.get(place)?.as_str()
    }

    fn flag(&self, place: usize) -> Option<bool> {
        self.arguments.get(place)?.as_bool()
    }
}

impl Session {
    pub(super) fn on_command(
        &mut self,
        now: Instant,
        message: &Message,
        out: &mut Outbox,
    ) -> Result<(), End> {
        let call = Call::read(message)?;
        tracing::trace!(client = self.client.0, command = call.name, "called");
        if self.app.is_none() {
            return match call.name.as_str() {
                "connect" => self.on_connect(now, &call, out),
                _ => Err(End::Broken("a session begins with `connect`")),
            };
        }
        match call.name.as_str() {
            "createStream" => self.on_create_stream(&call, out),
            "publish" => self.on_publish(now, &call, out)?,
            "play" => self.on_play(&call, out)?,
            "deleteStream" => {
                let stream = call.arguments.first().and_then(Value::as_number);
                let stream = stream.map_or(call.stream, |stream| stream as u32);
                self.end_stream(now, stream, out)?;
                self.streams.remove(&stream);
            }
            "closeStream" => self.end_stream(now, call.stream, out)?,
            "FCUnpublish" => {
                answer::fc(&call, "onFCUnpublish", "NetStream.Unpublish.Success", out);
                self.on_unpublish(now, &call, out)?;
            }
            "FCPublish" => answer::fc(&call, "onFCPublish", "NetStream.Publish.Start", out),
            "releaseStream" | "FCSubscribe" | "_checkbw" | "setPeerInfo" => {
                answer::result(&call, [Value::Undefined], out);
            }
            // What is played has no end.
            "getStreamLength" => answer::result(&call, [0.0.into()], out),
            "pause" => self.on_pause(call.stream, call.flag(0).unwrap_or(true), out),
            "receiveAudio" => self.on_receive(call.stream, (call.flag(0), None)),
            "receiveVideo" => self.on_receive(call.stream, (None, call.flag(0))),
            "seek" => answer::cannot_seek(call.stream, out),
            "sendData" | "pong" | "ping" => self.on_said(now, &call, out)?,
            "connect" => answer::error(&call, "This session is established already", out),
            // The answers to what was called here, which nothing waits for.
            "_result" | "_error" | "onStatus" => {}
            name => {
                let sentence = format!("This server has no method \"{}\"", flash::short(name));
                answer::error(&call, &sentence, out);
            }
        }
        Ok(())
    }

    fn on_connect(&mut self, now: Instant, call: &Call, out: &mut Outbox) -> Result<(), End> {
        let Value::Object(_) = call.object else {
            return Err(End::Broken("`connect` says nothing of the client"));
        };
        let name = call.object.get("app").and_then(Value::as_str);
        let name = name.unwrap_or_default().to_owned();
        answer::connected(call, &call.object, out);
        out.counters.connected += 1;
        let login = flash::login(&call.arguments);
        let is_room_client = login.is_some();
        self.app = Some(App {
            name,
            declared: answer::declared(&call.object),
            dialogue: None,
        });
        self.idle_since = now;
        tracing::debug!(
            client = self.client.0,
            is_room_client,
            "RTMP client connected"
        );
        match login {
            Some(login) => self.begin_dialogue(now, login, out),
            None => Ok(()),
        }
    }

    fn on_create_stream(&mut self, call: &Call, out: &mut Outbox) {
        if self.streams.len() >= STREAMS {
            return answer::error(call, "You have too many streams on this connection", out);
        }
        let stream = self.next_stream;
        self.next_stream = self.next_stream.wrapping_add(1);
        self.streams.insert(stream, Role::Idle);
        answer::result(call, [f64::from(stream).into()], out);
    }

    /// The message stream that is to be published or played on, unless there is none, or it is in
    /// use: then that has been said.
    pub(super) fn free_stream(&mut self, call: &Call, code: &str, out: &mut Outbox) -> Option<u32> {
        let sentence = match self.streams.get(&call.stream) {
            Some(Role::Idle) => return Some(call.stream),
            Some(Role::Publish(_) | Role::Play(_)) => "This stream is in use already",
            None => "There is no such stream: call createStream before",
        };
        out.push_status(call.stream, Level::Error, code, sentence);
        None
    }

    /// Ends what a message stream is for; it can be used anew.
    pub(super) fn end_stream(
        &mut self,
        now: Instant,
        stream: u32,
        out: &mut Outbox,
    ) -> Result<(), End> {
        let Some(role) = self.streams.get_mut(&stream) else {
            return Ok(());
        };
        match std::mem::replace(role, Role::Idle) {
            Role::Idle => return Ok(()),
            Role::Publish(publishing) => {
                self.end_publishing(*publishing, out)?;
                answer::unpublished(stream, out);
            }
            Role::Play(playing) => {
                playing.stop(out);
                answer::stopped(stream, out);
            }
        }
        self.idle_since = now;
        Ok(())
    }

    /// The server stops.
    pub(crate) fn handle_shutdown(&mut self, out: &mut Outbox) {
        for (stream, role) in &self.streams {
            match role {
                Role::Idle => {}
                Role::Publish(_) => {
                    out.push_status(
                        *stream,
                        Level::Error,
                        "NetStream.Publish.Failed",
                        "The server stops",
                    );
                }
                Role::Play(_) => answer::ended(*stream, out),
            }
        }
        answer::closed("The server stops", out);
    }
}
