//! Connections, their clients, the rooms between them, and a clock that moves when told.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use parlor_core::{ClientId, EndReason, MediaId, News, Request};
use parlor_signalling::{Action, Config, Connection, Counters, PageRequest, PageResponse, whip};
use serde_json::{Value, json};

use crate::bytes;
use crate::client::Client;
use crate::rooms::Rooms;

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) rooms: Rooms,
    pub(crate) pages: Vec<PageRequest>,
    pub(crate) exchanges: Vec<whip::Request>,
    /// Every request of a client, with the key it went by.
    pub(crate) asked: Vec<(ClientId, String, Request)>,
    ends: BTreeMap<ClientId, End>,
}

struct End {
    connection: Connection,
    client: Client,
    counters: Counters,
    /// The client reads what is written to it.
    reads: bool,
    finished: bool,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "the epoch of the test")]
    pub(crate) fn new() -> Self {
        Self {
            now: Instant::now(),
            rooms: Rooms::default(),
            pages: Vec::new(),
            exchanges: Vec::new(),
            asked: Vec::new(),
            ends: BTreeMap::new(),
        }
    }

    /// A TCP connection.
    pub(crate) fn accept(&mut self) -> ClientId {
        let client = ClientId(self.ends.len() as u64);
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000));
        let connection = Connection::new(&Config::default(), client, peer, self.now);
        let (counters, reads, finished) = (Counters::default(), true, false);
        let end = End {
            connection,
            client: Client::default(),
            counters,
            reads,
            finished,
        };
        self.ends.insert(client, end);
        client
    }

    /// A WebSocket connection.
    pub(crate) fn open(&mut self) -> ClientId {
        let client = self.accept();
        self.send(client, bytes::upgrade("/").as_bytes());
        assert!(self.client(client).responses.starts_with("HTTP/1.1 101 "));
        client
    }

    /// An established session.
    pub(crate) fn establish(&mut self, custom: Value) -> ClientId {
        let client = self.open();
        self.say(
            client,
            "connection",
            json!({ "appKey": "roomApp", "custom": custom }),
        );
        let heard = self.hear(client);
        assert_eq!(heard.len(), 1, "{heard:?}");
        assert_eq!(heard[0]["message"], "getUserData");
        client
    }

    pub(crate) fn login(&mut self, login: &str) -> ClientId {
        self.establish(json!({ "login": login }))
    }

    /// A participant of the room `r`, who has heard all that the join brought.
    pub(crate) fn participant(&mut self, login: &str) -> ClientId {
        let client = self.login(login);
        self.command(client, "op-join", "join", json!({ "name": "r" }));
        let heard = self.hear(client);
        assert_eq!(heard[0]["data"][0]["status"], "ACCEPTED", "{heard:?}");
        self.hear_all();
        client
    }

    pub(crate) fn send(&mut self, client: ClientId, bytes: &[u8]) {
        let now = self.now;
        self.end_mut(client).connection.handle_bytes(now, bytes);
        self.settle();
    }

    pub(crate) fn send_text(&mut self, client: ClientId, text: &str) {
        self.send(client, &bytes::text(text));
    }

    /// Sends a message whose `data` holds one thing.
    pub(crate) fn say(&mut self, client: ClientId, message: &str, data: Value) {
        self.send_text(
            client,
            &json!({ "message": message, "data": [data] }).to_string(),
        );
    }

    pub(crate) fn command(
        &mut self,
        client: ClientId,
        operation: &str,
        command: &str,
        options: Value,
    ) {
        let payload = json!({ "command": command, "options": options });
        self.say(
            client,
            "sendData",
            json!({ "operationId": operation, "payload": payload }),
        );
    }

    pub(crate) fn publish(&mut self, client: ClientId, id: &str, name: &str) {
        self.start(client, "publishStream", id, name, json!({ "name": "r" }));
    }

    pub(crate) fn play(&mut self, client: ClientId, id: &str, name: &str) {
        self.start(client, "playStream", id, name, json!({ "name": "r" }));
    }

    pub(crate) fn start(
        &mut self,
        client: ClientId,
        message: &str,
        id: &str,
        name: &str,
        custom: Value,
    ) {
        let mut data = json!({ "mediaSessionId": id, "name": name, "sdp": "v=0 offer" });
        if !custom.is_null() {
            data["custom"] = custom;
        }
        self.say(client, message, data);
    }

    /// The messages that a client got since it was last asked.
    pub(crate) fn hear(&mut self, client: ClientId) -> Vec<Value> {
        std::mem::take(&mut self.end_mut(client).client.messages)
    }

    pub(crate) fn hear_one(&mut self, client: ClientId) -> Value {
        let heard = self.hear(client);
        assert_eq!(heard.len(), 1, "{heard:?}");
        heard.into_iter().next().unwrap()
    }

    pub(crate) fn hear_all(&mut self) {
        for end in self.ends.values_mut() {
            end.client.messages.clear();
        }
    }

    pub(crate) fn client(&self, client: ClientId) -> &Client {
        &self.ends[&client].client
    }

    pub(crate) fn counters(&self, client: ClientId) -> Counters {
        self.ends[&client].counters
    }

    pub(crate) fn is_finished(&self, client: ClientId) -> bool {
        self.ends[&client].finished
    }

    pub(crate) fn egress(&self, client: ClientId) -> usize {
        self.ends[&client].connection.egress().len()
    }

    pub(crate) fn stop_reading(&mut self, client: ClientId) {
        self.end_mut(client).reads = false;
    }

    /// The client reads up to `most` bytes, once.
    pub(crate) fn read_some(&mut self, client: ClientId, most: usize) {
        let now = self.now;
        let End {
            connection, client, ..
        } = self.end_mut(client);
        let some = connection.egress().len().min(most);
        client.read(&connection.egress()[..some]);
        connection.advance(now, some);
        self.settle();
    }

    pub(crate) fn hang_up(&mut self, client: ClientId) {
        let now = self.now;
        self.end_mut(client).connection.handle_end(now);
        self.settle();
    }

    pub(crate) fn shut_down(&mut self) {
        let now = self.now;
        for end in self.ends.values_mut() {
            end.connection.handle_shutdown(now);
        }
        self.settle();
    }

    pub(crate) fn fail(&mut self, client: ClientId, media: u32, reason: EndReason) {
        self.rooms.fail(client, MediaId(media), reason);
        self.settle();
    }

    /// Tells a client something that the rooms of these tests do not come upon themselves.
    pub(crate) fn tell(&mut self, client: ClientId, news: News) {
        self.rooms.news.push_back((client, news));
        self.settle();
    }

    pub(crate) fn go_live(&mut self, client: ClientId, media: u32) {
        self.rooms.go_live(client, MediaId(media));
        self.settle();
    }

    /// Lets time pass, stopping at every deadline on the way.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..10_000 {
            let next = self
                .ends
                .values()
                .filter_map(|end| end.connection.poll_timeout())
                .min();
            let Some(next) = next.filter(|next| *next <= until) else {
                self.now = until;
                return;
            };
            assert!(next >= self.now, "a deadline is ahead");
            self.now = next;
            for end in self.ends.values_mut() {
                end.connection.handle_timeout(next);
            }
            self.settle();
        }
        panic!("deadlines do not come to an end");
    }

    /// Carries everything to where it goes.
    fn settle(&mut self) {
        let clients: Vec<_> = self.ends.keys().copied().collect();
        loop {
            for client in &clients {
                self.drain(*client);
            }
            let Some((client, news)) = self.rooms.news.pop_front() else {
                break;
            };
            let now = self.now;
            self.end_mut(client).connection.handle_news(now, news);
        }
    }

    fn drain(&mut self, id: ClientId) {
        let now = self.now;
        let end = self.ends.get_mut(&id).unwrap();
        while let Some(action) = end.connection.poll_action() {
            match action {
                Action::Ask {
                    id: request_id,
                    key,
                    request,
                } => {
                    self.asked.push((id, key, request.clone()));
                    let reply = self.rooms.handle(id, request);
                    end.connection.handle_reply(now, request_id, reply);
                }
                Action::Exchange(request) => {
                    self.exchanges.push(request);
                    end.connection.handle_page(now, whip::deleted(true));
                }
                Action::Page(request) => {
                    let body = format!("page {}", request.path).into_bytes();
                    self.pages.push(request);
                    let headers = vec![("Content-Type", Cow::Borrowed("text/plain"))];
                    let response = PageResponse {
                        status: 200,
                        headers,
                        body: body.into(),
                    };
                    end.connection.handle_page(now, response);
                }
            }
        }
        while end.reads && !end.connection.egress().is_empty() {
            end.client.read(end.connection.egress());
            let written = end.connection.egress().len();
            end.connection.advance(now, written);
        }
        end.counters += end.connection.take_counters();
        if end.connection.is_finished() && !end.finished {
            end.finished = true;
            self.rooms.disconnect(id);
        }
    }

    fn end_mut(&mut self, client: ClientId) -> &mut End {
        self.ends.get_mut(&client).unwrap()
    }
}

/// The room events among messages, as `name` and `info`.
pub(crate) fn room_events(messages: &[Value]) -> Vec<(String, Value)> {
    let events = messages
        .iter()
        .filter(|message| message["message"] == "OnDataEvent");
    events
        .map(|message| {
            let payload = &message["data"][0]["payload"];
            (
                payload["name"].as_str().unwrap().to_owned(),
                payload["info"].clone(),
            )
        })
        .collect()
}

/// The names of messages.
pub(crate) fn names(messages: &[Value]) -> Vec<&str> {
    messages
        .iter()
        .map(|message| message["message"].as_str().unwrap())
        .collect()
}
