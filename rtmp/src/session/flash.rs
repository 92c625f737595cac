//! Room clients of the Flash era: they say by invokes what browsers say by WebSocket
//! (wcs-protocol.md §5.2).

use std::time::Instant;

use parlor_signalling::{Dialogue, Ended};
use serde_json::{Value as Json, json};

use super::commands::Call;
use super::{End, Session, answer};
use crate::amf0::{self, Value};
use crate::connection::Action;
use crate::outbox::Outbox;

/// The methods that such clients have; what else browsers are told, these would stumble over.
const METHODS: [&str; 4] = ["DataStatusEvent", "OnDataEvent", "ping", "fail"];

/// What the argument of a room client's `connect` says: its login, where it has one.
pub(super) struct Login {
    app_key: String,
    login: Option<String>,
}

/// Reads what follows the object of `connect`. `None`: this is no room client.
pub(super) fn login(arguments: &[Value]) -> Option<Login> {
    let argument = arguments
        .iter()
        .find(|argument| argument.get("appKey").is_some())?;
    let app_key = argument.get("appKey")?.as_str()?;
    let custom = argument
        .get("custom")
        .and_then(|custom| custom.get("login"));
    let login = argument.get("login").or(custom).and_then(Value::as_str);
    Some(Login {
        app_key: app_key.to_owned(),
        login: login.map(str::to_owned),
    })
}

impl Session {
    /// Opens the WCS session of a room client.
    pub(super) fn begin_dialogue(
        &mut self,
        now: Instant,
        Login { app_key, login }: Login,
        out: &mut Outbox,
    ) -> Result<(), End> {
        let mut dialogue = Dialogue::new(&self.config.signalling, self.client, now);
        let hello = json!({ "appKey": app_key, "custom": { "login": login } });
        let result = dialogue.handle_message(now, &frame("connection", hello));
        if let Some(app) = &mut self.app {
            app.dialogue = Some(Box::new(dialogue));
        }
        self.on_dialogue(result, out)
    }

    /// Passes on what a room client says.
    pub(super) fn on_said(
        &mut self,
        now: Instant,
        call: &Call,
        out: &mut Outbox,
    ) -> Result<(), End> {
        let argument = call.arguments.first().map_or(Json::Null, amf0::to_json);
        let text = frame(&call.name, argument);
        let Some(dialogue) = self.dialogue() else {
            answer::error(
                call,
                "`connect` must say an appKey and a login for this",
                out,
            );
            return Ok(());
        };
        let result = dialogue.handle_message(now, &text);
        answer::result(call, [Value::Undefined], out);
        self.on_dialogue(result, out)
    }

    /// Lets out what has come of a dialogue.
    pub(super) fn on_dialogue(
        &mut self,
        result: Result<(), Ended>,
        out: &mut Outbox,
    ) -> Result<(), End> {
        let Some(dialogue) = self.dialogue() else {
            return Ok(());
        };
        while let Some((method, data)) = dialogue.poll_said() {
            let Json::Array(data) = data else {
                continue;
            };
            if METHODS.contains(&method) {
                let arguments = data.into_iter().map(amf0::from_json);
                out.push_command(0, method, 0.0, [Value::Null].into_iter().chain(arguments));
            }
        }
        while let Some(action) = dialogue.poll_action() {
            if let parlor_signalling::Action::Ask { id, key, request } = action {
                out.actions.push_back(Action::Ask { id, key, request });
            }
        }
        result.map_err(|Ended(why)| {
            answer::closed(why, out);
            End::Refused
        })
    }
}

/// The text that a browser would have sent.
fn frame(message: &str, data: Json) -> String {
    json!({ "message": message, "data": [data] }).to_string()
}

/// The first characters of a text that is repeated to its sender.
pub(super) fn short(text: &str) -> String {
    text.chars().take(64).collect()
}
