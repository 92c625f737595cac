//! The streams that were begun by WHIP and WHEP. They outlive the connections that made them.

use std::collections::BTreeMap;

use parlor_core::{ClientId, News, Reply, RequestError};
use parlor_signalling::PageResponse;
use parlor_signalling::whip::{self, Offer, Resource, Step};

use super::links::Links;
use crate::limits;

/// The resources, by the numbers that they have as clients of the rooms.
#[derive(Default)]
pub(super) struct Resources {
    held: BTreeMap<u64, Held>,
    by_token: BTreeMap<String, u64>,
}

struct Held {
    resource: Resource,
    token: String,
    worker: usize,
    /// The connection that waits for the answer.
    waiting: Option<u64>,
}

/// An answer to the connection of this number.
pub(super) type Answer = (u64, PageResponse);

impl Resources {
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        self.held.contains_key(&number)
    }

    /// Begins a stream as the client `number`. The answer, unless it is given at once, comes later
    /// for the connection `waiting`.
    pub(super) fn create(
        &mut self,
        links: &mut Links,
        number: u64,
        waiting: u64,
        offer: Offer,
    ) -> Option<Answer> {
        if self.held.len() >= limits::RESOURCES {
            return Some((waiting, whip::refusal(&RequestError::Busy)));
        }
        let Some(token) = secret() else {
            return Some((waiting, whip::refusal(&RequestError::Busy)));
        };
        let (resource, step) = Resource::new(offer, token.clone());
        let worker = links.worker_of(resource.key());
        self.by_token.insert(token.clone(), number);
        self.held.insert(
            number,
            Held {
                resource,
                token,
                worker,
                waiting: Some(waiting),
            },
        );
        self.take(links, number, step)
    }

    /// Ends the stream with this token, and answers who asked for it.
    pub(super) fn delete(&mut self, links: &mut Links, token: &str) -> PageResponse {
        let number = self.by_token.get(token).copied();
        if let Some(number) = number {
            self.give_up(links, number);
        }
        whip::deleted(number.is_some())
    }

    /// The answer of a worker to a resource. `is_there` tells whether a connection still is.
    pub(super) fn handle_reply(
        &mut self,
        links: &mut Links,
        number: u64,
        reply: Result<Reply, RequestError>,
        is_there: impl Fn(u64) -> bool,
    ) -> Option<Answer> {
        let held = self.held.get_mut(&number)?;
        // Nobody else will ever know where the stream is ended.
        if held.waiting.is_some_and(|waiting| !is_there(waiting)) {
            self.give_up(links, number);
            return None;
        }
        let step = held.resource.handle_reply(reply);
        self.take(links, number, step)
    }

    pub(super) fn handle_news(&mut self, links: &mut Links, number: u64, news: &News) {
        let Some(held) = self.held.get_mut(&number) else {
            return;
        };
        if held.resource.handle_news(news) {
            self.give_up(links, number);
        }
    }

    /// Does what a resource wants.
    fn take(&mut self, links: &mut Links, number: u64, mut step: Step) -> Option<Answer> {
        let held = self.held.get_mut(&number)?;
        if let Step::Ask(id, request) = step {
            match links.ask(held.worker, ClientId(number), id, request) {
                Ok(()) => return None,
                Err(error) => step = held.resource.handle_reply(Err(error)),
            }
        }
        match step {
            Step::Begun(response) => Some((held.waiting.take()?, response)),
            Step::Refused(response) => {
                let waiting = held.waiting.take();
                self.give_up(links, number);
                Some((waiting?, response))
            }
            Step::Ask(..) | Step::Wait => None,
        }
    }

    fn give_up(&mut self, links: &mut Links, number: u64) {
        let Some(held) = self.held.remove(&number) else {
            return;
        };
        self.by_token.remove(&held.token);
        links.disconnect(held.worker, ClientId(number));
    }

    /// Gives all of them up.
    pub(super) fn clear(&mut self, links: &mut Links) {
        while let Some((number, _)) = self.held.first_key_value() {
            self.give_up(links, *number);
        }
    }
}

/// 128 bits that nobody guesses, in hexadecimal; `None` where the system has no random bytes.
fn secret() -> Option<String> {
    let mut bytes = [0; 16];
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::error!(%error, "the system has no random bytes");
        return None;
    }
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
