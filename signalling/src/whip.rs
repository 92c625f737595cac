//! WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): publishing and playing by one HTTP exchange.
//!
//! `POST /whip/<room>/<name>` with an SDP offer publishes as participant `name` of the room,
//! `POST /whep/<room>/<name>` plays that participant, or a stream of the room with that name. The
//! answer has all candidates; nothing is negotiated after it. Each such stream is a [`Resource`],
//! which outlives the connection that made it: it ends by `DELETE` of its `Location`, or with its
//! media. The caller keeps the resources, by their tokens, as it keeps connections.

use std::borrow::Cow;

use parlor_core::{
    Identity, MediaId, NameError, News, Place, PublicationName, Reply, RequestError, RoomName,
};

use crate::connection::{PageResponse, RequestId};
use crate::http::target;

/// Publishing or playing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// WHIP.
    Publisher,
    /// WHEP.
    Player,
}

/// What a path of WHIP or WHEP names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    role: Role,
    room: String,
    name: String,
    /// That of a resource, behind the two names.
    pub(crate) token: Option<String>,
    /// The path as it was written.
    path: String,
}

/// What is done there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Method {
    Post(Endpoint),
    Delete(Endpoint),
    Options { allowed: &'static str },
}

/// What a client asks by WHIP or WHEP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Begin a stream.
    Create(Offer),
    /// End the stream whose resource has this token.
    Delete {
        /// The token.
        token: String,
    },
}

/// An offer to publish or to play.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Publishing or playing.
    pub role: Role,
    room: RoomName,
    name: PublicationName,
    identity: Option<Identity>,
    sdp: String,
    path: String,
}

/// Reads a target under `/whip/` or `/whep/`; the inner `None` is for one that names nothing.
pub(crate) fn endpoint(target: &str) -> Option<Option<Endpoint>> {
    let path = target.split(['?', '#']).next()?;
    let mut segments = target::segments(path)?.into_iter();
    let role = match segments.next()?.as_str() {
        "whip" => Role::Publisher,
        "whep" => Role::Player,
        _ => return None,
    };
    let (room, name, token) = (segments.next(), segments.next(), segments.next());
    let (Some(room), Some(name), None) = (room, name, segments.next()) else {
        return Some(None);
    };
    let token = token.filter(|token| !token.is_empty());
    Some(Some(Endpoint {
        role,
        room,
        name,
        token,
        path: path.trim_end_matches('/').to_owned(),
    }))
}

impl Method {
    /// What is asked with this content, or the answer where nothing is to be done for it.
    pub(crate) fn asks(self, content: Vec<u8>) -> Result<Request, PageResponse> {
        match self {
            Self::Options { allowed } => Err(preflight(allowed)),
            Self::Delete(Endpoint { token, .. }) => Ok(Request::Delete {
                token: token.unwrap_or_default(),
            }),
            Self::Post(endpoint) => {
                let sdp = String::from_utf8(content)
                    .map_err(|_| sentence(400, "The offer is not text in UTF-8"))?;
                let offer = endpoint.offer(sdp);
                let bad_name = |error: NameError| sentence(400, format!("In this path, {error}"));
                offer.map(Request::Create).map_err(bad_name)
            }
        }
    }
}

impl Endpoint {
    fn offer(self, sdp: String) -> Result<Offer, NameError> {
        let room = RoomName::new(&self.room)?;
        let (name, identity) = match self.role {
            Role::Publisher => {
                let identity = Identity::new(&self.name)?;
                let name = PublicationName::new(&format!("{room}-{identity}"))?;
                (name, Some(identity))
            }
            Role::Player => (PublicationName::new(&self.name)?, None),
        };
        Ok(Offer {
            role: self.role,
            room,
            name,
            identity,
            sdp,
            path: self.path,
        })
    }
}

/// A stream that was begun by WHIP or WHEP, as a client of the rooms: requests out, answers in.
#[derive(Debug)]
pub struct Resource {
    offer: Option<Offer>,
    room: RoomName,
    location: String,
    token: String,
}

/// What a resource wants.
#[derive(Debug)]
pub enum Step {
    /// Ask the worker that [`Resource::key`] falls to, and pass the answer to
    /// [`Resource::handle_reply`].
    Ask(RequestId, parlor_core::Request),
    /// Answer the client: the stream has begun.
    Begun(PageResponse),
    /// Answer the client, and give the resource up: its worker is to be told that the client has
    /// disconnected.
    Refused(PageResponse),
    /// Nothing.
    Wait,
}

const JOIN: RequestId = RequestId(0);
const STREAM: RequestId = RequestId(1);
const MEDIA: MediaId = MediaId(0);

impl Resource {
    /// A resource for an offer, and what it asks first. `token` is a secret of the caller's making,
    /// fit for a path: who knows it may end the stream.
    pub fn new(offer: Offer, token: String) -> (Self, Step) {
        let mut resource = Self {
            room: offer.room.clone(),
            location: format!("{}/{token}", offer.path),
            offer: Some(offer),
            token,
        };
        let step = resource.begin();
        (resource, step)
    }

    /// The text that decides which worker has the stream, as in
    /// [`Action::Ask`](crate::Action::Ask).
    pub fn key(&self) -> &str {
        self.room.as_str()
    }

    fn begin(&mut self) -> Step {
        let identity = self.offer.as_ref().and_then(|offer| offer.identity.clone());
        match identity {
            Some(identity) => Step::Ask(
                JOIN,
                parlor_core::Request::Join {
                    room: self.room.clone(),
                    identity,
                    resume: None,
                },
            ),
            None => self.ask_for_stream(),
        }
    }

    fn ask_for_stream(&mut self) -> Step {
        let Some(offer) = self.offer.take() else {
            return Step::Wait;
        };
        let Offer {
            role,
            room,
            name,
            sdp,
            ..
        } = offer;
        let request = match role {
            Role::Publisher => parlor_core::Request::Publish {
                media: MEDIA,
                place: Place::Room(room),
                name,
                offer: sdp,
            },
            Role::Player => parlor_core::Request::Watch {
                media: MEDIA,
                room,
                name,
                offer: sdp,
            },
        };
        Step::Ask(STREAM, request)
    }

    /// The answer to a [`Step::Ask`].
    pub fn handle_reply(&mut self, reply: Result<Reply, RequestError>) -> Step {
        match reply {
            Ok(Reply::Joined { .. }) => self.ask_for_stream(),
            Ok(Reply::Answer { sdp, .. }) => Step::Begun(self.created(sdp)),
            Ok(Reply::Done | Reply::Available(_) | Reply::Sink { .. } | Reply::Later { .. }) => {
                Step::Wait
            }
            Err(error) => Step::Refused(refusal(&error)),
        }
    }

    /// News from the rooms. Returns whether the stream has ended: the resource is to be given up as
    /// with [`Step::Refused`].
    pub fn handle_news(&mut self, news: &News) -> bool {
        match news {
            News::Ended { .. } | News::Replaced { .. } => true,
            News::Joined { .. }
            | News::Left { .. }
            | News::Published { .. }
            | News::Unpublished { .. }
            | News::Message { .. }
            | News::Speaking { .. }
            | News::CodecMismatch { .. }
            | News::Answered { .. }
            | News::Live { .. }
            | News::Muted { .. }
            | News::Data { .. } => false,
        }
    }

    /// 201 (RFC 9725 §4.2).
    fn created(&self, sdp: String) -> PageResponse {
        let headers = vec![
            ("Content-Type", "application/sdp".into()),
            ("Location", self.location.clone().into()),
            ("ETag", format!("\"{}\"", self.token).into()),
            ("Access-Control-Expose-Headers", "Location, ETag".into()),
            ("Cache-Control", "no-store".into()),
            ALLOW_ORIGIN,
        ];
        PageResponse {
            status: 201,
            headers,
            body: Cow::Owned(sdp.into_bytes()),
        }
    }
}

/// The answer to a `DELETE`.
pub fn deleted(found: bool) -> PageResponse {
    match found {
        true => sentence(200, "The stream has ended"),
        false => sentence(404, "There is no such stream, or it has ended"),
    }
}

/// The answer where the request cannot be carried out.
pub fn refusal(error: &RequestError) -> PageResponse {
    let status = match error {
        RequestError::IdentityInUse(_)
        | RequestError::PublicationNameInUse
        | RequestError::AlreadyJoined
        | RequestError::MediaInUse => 409,
        RequestError::NoSuchPublication
        | RequestError::NotInRoom
        | RequestError::NoSuchParticipant(_)
        | RequestError::NoSuchMedia => 404,
        RequestError::BadOffer(_) => 400,
        RequestError::NoCommonCodecs => 406,
        RequestError::TooLong { .. } => 413,
        RequestError::TooMany(_) | RequestError::Busy => 503,
        RequestError::InVain => 429,
    };
    let mut response = sentence(status, error.to_string());
    match status {
        503 => response.headers.push(("Retry-After", "5".into())),
        429 => response.headers.push(("Retry-After", "60".into())),
        _ => {}
    }
    response
}

/// 200 (RFC 9725 §4.2) to a preflight (Fetch standard, §3.2): pages of everywhere may publish and
/// play, as they may by WebSocket.
fn preflight(allowed: &'static str) -> PageResponse {
    let headers = vec![
        ALLOW_ORIGIN,
        ("Access-Control-Allow-Methods", allowed.into()),
        (
            "Access-Control-Allow-Headers",
            "Authorization, Content-Type, If-Match".into(),
        ),
        ("Access-Control-Max-Age", "86400".into()),
        ("Access-Control-Expose-Headers", "Location, ETag".into()),
        ("Accept-Post", "application/sdp".into()),
        ("Allow", allowed.into()),
    ];
    PageResponse {
        status: 200,
        headers,
        body: Cow::Borrowed(&[]),
    }
}

const ALLOW_ORIGIN: (&str, Cow<'static, str>) = ("Access-Control-Allow-Origin", Cow::Borrowed("*"));

fn sentence(status: u16, text: impl Into<String>) -> PageResponse {
    let mut text = text.into();
    text.push_str(".\n");
    PageResponse {
        status,
        headers: vec![
            ("Content-Type", "text/plain; charset=utf-8".into()),
            ("X-Content-Type-Options", "nosniff".into()),
            ("Cache-Control", "no-store".into()),
            ALLOW_ORIGIN,
        ],
        body: Cow::Owned(text.into_bytes()),
    }
}
