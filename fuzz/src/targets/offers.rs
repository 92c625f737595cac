//! SDP offers.

use parlor_core::config::AudioCodec;
use parlor_core::{
    ClientId, MediaId, Place, PublicationName, Reply, Request, VideoFormat, simulation,
};

use super::signalling::{base, sfu};

/// An offer to publish and to play: where it is answered, the answer has the sections of the offer.
pub(super) fn sdp(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let now = base();
    let mut sfu = sfu(now);
    let place = Place::Open;
    let ingest = |name: &str, video| Request::Ingest {
        media: MediaId(1),
        place: Place::Open,
        name: PublicationName::new(name).expect("a name"),
        audio: Some(AudioCodec::Opus),
        video: Some(video),
    };
    let formats = [
        VideoFormat::Vp8,
        VideoFormat::H264 {
            profile_level_id: 0x42_e01f,
        },
    ];
    for (client, video) in (1..).zip(formats) {
        let begun = sfu.handle_request(now, ClientId(client), ingest(&client.to_string(), video));
        begun.expect("it may");
    }
    let request = |media, name: &str| {
        let name = PublicationName::new(name).expect("a name");
        let (media, place, offer) = (MediaId(media), place.clone(), text.clone().into_owned());
        match media {
            MediaId(1) => Request::Publish {
                media,
                place,
                name,
                offer,
            },
            _ => Request::Subscribe {
                media,
                place,
                name,
                offer,
            },
        }
    };
    for (media, name) in [(1, "own"), (2, "1"), (3, "2")] {
        let reply = sfu.handle_request(now, ClientId(9), request(media, name));
        if let Ok(Reply::Answer { sdp, .. }) = reply {
            check_answer(&text, &sdp);
            if media == 1 {
                simulation::check_answer(&text, &sdp);
            }
        }
        sfu.check();
    }
    let gone = sfu.handle_request(now, ClientId(9), Request::Disconnect);
    gone.expect("whoever disconnects may");
    assert_eq!(sfu.counters().peers, 0);
}

fn check_answer(offer: &str, answer: &str) {
    let count =
        |text: &str, start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!(count(offer, "m="), count(answer, "m="), "{answer}");
    assert_eq!(count(answer, "m="), count(answer, "a=mid:"), "{answer}");
    assert!(count(answer, "a=ice-ufrag:") > 0, "{answer}");
    for line in answer.split("\r\n").filter(|line| !line.is_empty()) {
        let kind = line.as_bytes().get(1);
        assert_eq!(kind, Some(&b'='), "a line of an answer: {line:?}");
        assert!(!line.contains(['\r', '\n']), "{line:?}");
    }
}
