use super::answer;
use super::narrow::{self, Codecs, Track, tracks_to_play, tracks_to_publish};
use super::offer::Offer;
use crate::codec::{Codec, H264};
use crate::config::{AudioCodec, Config, VideoCodec};
use crate::egress;
use crate::request::{MediaKind, RequestError};

const PUBLISH: &str = include_str!("fixtures/chromium-publish.sdp");
const PLAY: &str = include_str!("fixtures/chromium-play.sdp");
const AUDIO: &str = include_str!("fixtures/chromium-publish-audio.sdp");

/// GStreamer's `webrtcbin`, bundle-policy max-bundle.
const GSTREAMER: &str = include_str!("fixtures/gstreamer-publish.sdp");
/// As OBS has libdatachannel write it: the transport once, in the session's part.
const OBS: &str = include_str!("fixtures/obs-publish.sdp");

const BASELINE: Codec = Codec::H264(H264 {
    profile_level_id: 0x42_e01f,
    fragments: true,
});

fn config(video: &[VideoCodec], audio: &[AudioCodec]) -> Config {
    Config {
        video_codecs: video.to_vec(),
        audio_codecs: audio.to_vec(),
        ..Config::default()
    }
}

const SERVER: answer::Server<'static> = answer::Server {
    ufrag: "server",
    password: "secret",
    fingerprint: "AB:CD",
    candidates: &[],
    stream: "stream",
};

/// The answer to a publisher.
fn published(offer: &Offer, tracks: &[Track]) -> String {
    let agreed = narrow::extensions(offer, tracks);
    answer::publish(offer, tracks, &agreed, &SERVER)
}

fn chosen(offer: &str, config: &Config) -> Result<Vec<(u8, Codec, Option<u8>)>, RequestError> {
    let tracks = tracks_to_publish(&Offer::parse(offer)?, config)?;
    let payloads = tracks.into_iter().map(|track| track.payload);
    Ok(payloads
        .map(|payload| (payload.number, payload.codec, payload.rtx))
        .collect())
}

#[test]
fn the_first_configured_codec_that_is_offered_is_chosen() {
    let default = chosen(PUBLISH, &Config::default()).expect("chosen");
    assert_eq!(default[0], (111, Codec::Opus, None));
    assert_eq!((default[1].0, default[1].1), (108, BASELINE));
    assert!(default[1].2.is_some(), "with retransmissions");
    let other = config(&[VideoCodec::Vp8], &[AudioCodec::Pcma, AudioCodec::Opus]);
    let other = chosen(PUBLISH, &other).expect("chosen");
    assert_eq!(other[0], (8, Codec::Pcma, None));
    assert_eq!((other[1].0, other[1].1), (96, Codec::Vp8));
    let stripped = PUBLISH.replace("opus/48000", "other/48000");
    let stripped = chosen(&stripped, &Config::default()).expect("chosen");
    assert_eq!(stripped[0], (0, Codec::Pcmu, None));
}

#[test]
fn encoders_are_understood_as_they_offer() {
    let obs = chosen(OBS, &Config::default()).expect("chosen");
    assert_eq!(obs, [(111, Codec::Opus, None), (96, BASELINE, None)]);
    let transport = Offer::parse(OBS).expect("parses").transport;
    assert_eq!(transport.ufrag, "jBob");
    // All but the first of its sections have port 0, and `a=bundle-only` (RFC 9143 §6).
    let gstreamer = chosen(GSTREAMER, &Config::default()).expect("chosen");
    let baseline = Codec::H264(H264 {
        profile_level_id: 0x42_c015,
        fragments: true,
    });
    assert_eq!(gstreamer, [(96, baseline, None), (100, Codec::Opus, None)]);
}

#[test]
fn a_kind_without_a_common_codec_refuses_the_whole() {
    let video = config(&[], &[AudioCodec::Opus]);
    assert_eq!(chosen(PUBLISH, &video), Err(RequestError::NoCommonCodecs));
    assert!(
        chosen(AUDIO, &video).is_ok(),
        "where no picture is offered, none is missed"
    );
    let sent = Codecs {
        audio: Some(Codec::Opus),
        video: Some(Codec::Vp8),
    };
    let offer = Offer::parse(&PLAY.replace("VP8/90000", "VP7/90000")).expect("parses");
    assert_eq!(
        tracks_to_play(&offer, sent),
        Err(RequestError::NoCommonCodecs)
    );
}

#[test]
fn a_player_gets_its_own_payload_types_for_what_is_sent() {
    let offer = Offer::parse(PLAY).expect("parses");
    let codecs = Codecs {
        audio: Some(Codec::Opus),
        video: Some(BASELINE),
    };
    let tracks = tracks_to_play(&offer, codecs).expect("plays");
    assert_eq!(tracks.len(), 2);
    assert_eq!(tracks[1].payload.codec, BASELINE);
    let audio_only = Codecs {
        audio: Some(Codec::Opus),
        video: None,
    };
    let tracks = tracks_to_play(&offer, audio_only).expect("plays");
    assert!(matches!(tracks.as_slice(), [track] if track.kind == MediaKind::Audio));
}

#[test]
fn a_dangling_apt_is_left_out() {
    // What the SDK's stripCodecs leaves behind (wcs-protocol.md §0, 19).
    let number = "108";
    let stripped: Vec<&str> = PUBLISH
        .lines()
        .filter(|line| {
            !line.starts_with(&format!("a=rtpmap:{number} "))
                && !line.starts_with(&format!("a=fmtp:{number} "))
                && !line.starts_with(&format!("a=rtcp-fb:{number} "))
        })
        .collect();
    let stripped = stripped.join("\r\n").replace(" 108 ", " ");
    let chosen = chosen(&stripped, &Config::default()).expect("chosen");
    assert_ne!(chosen[1].0, 108);
    let offer = Offer::parse(&stripped).expect("parses");
    let tracks = tracks_to_publish(&offer, &Config::default()).expect("chosen");
    assert!(!published(&offer, &tracks).contains("apt=108"));
}

#[test]
fn a_publisher_is_answered_one_codec_a_section() {
    let offer = Offer::parse(PUBLISH).expect("parses");
    let tracks = tracks_to_publish(&offer, &Config::default()).expect("chosen");
    let text = published(&offer, &tracks);
    assert_eq!(text.matches("a=rtpmap:").count(), 3, "{text}");
    assert_eq!(text.matches("a=recvonly\r\n").count(), 2, "{text}");
    assert!(text.contains("a=group:BUNDLE 0 1\r\n"));
    assert!(text.contains("a=rtcp-fb:108 transport-cc\r\n"));
    assert!(text.contains("a=rtcp-fb:108 nack\r\n"));
    assert!(text.contains("transport-wide-cc"));
    assert!(!text.contains("a=ssrc") && !text.contains("sdes:mid"));
}

#[test]
fn what_is_not_offered_is_not_answered() {
    let uri = narrow::TRANSPORT_CC;
    let without = PUBLISH.replace(uri, "urn:other");
    let offer = Offer::parse(&without).expect("parses");
    let tracks = tracks_to_publish(&offer, &Config::default()).expect("chosen");
    let text = published(&offer, &tracks);
    assert!(!text.contains("transport-cc") && !text.contains("urn:other"));
}

#[test]
fn each_track_has_the_first_source_of_its_section() {
    let section = |mid: u8, sources: &str| {
        format!(
            "m=video 9 UDP/TLS/RTP/SAVPF 9{mid}\r\na=mid:{mid}\r\na=sendonly\r\n\
             a=rtpmap:9{mid} VP8/90000\r\na=rtpmap:8{mid} rtx/90000\r\na=fmtp:8{mid} apt=9{mid}\r\n\
             {sources}"
        )
    };
    let offer = AUDIO.to_owned()
        + &section(
            1,
            "a=ssrc-group:FID 7 8\r\na=ssrc:7 cname:x\r\na=ssrc:8 cname:x\r\na=ssrc:9 cname:x\r\n",
        );
    let sources = |offer: &str| {
        let offer = Offer::parse(offer).expect("parses");
        let tracks = tracks_to_publish(&offer, &config(&[VideoCodec::Vp8], &[AudioCodec::Opus]));
        let sources = narrow::sources(&offer, &tracks.expect("chosen"));
        let sources = sources.into_iter();
        sources
            .map(|source| source.map(|source| (source.ssrc, source.rtx)))
            .collect::<Vec<_>>()
    };
    let all = sources(&offer);
    assert!(all[0].is_some_and(|(ssrc, rtx)| ssrc != 7 && rtx.is_none()));
    let with_rtx = offer.replace("SAVPF 91", "SAVPF 91 81");
    assert_eq!(sources(&with_rtx)[1], Some((7, Some(8))));
    assert_eq!(
        all[1],
        Some((7, None)),
        "what is not sent again has no source"
    );
    let audio = all[0].expect("named").0;
    let taken = with_rtx.replace("FID 7 8", &format!("FID {audio} 8"));
    let taken = taken.replace("a=ssrc:7", &format!("a=ssrc:{audio}"));
    assert_eq!(sources(&taken)[1], None, "it is the sound's");
}

#[test]
fn refused_sections_keep_their_places_and_all_tracks_share_a_stream() {
    let offer = Offer::parse(PLAY).expect("parses");
    let codecs = Codecs {
        audio: None,
        video: Some(Codec::Vp8),
    };
    let tracks = tracks_to_play(&offer, codecs).expect("plays");
    let sent = egress::Track {
        kind: MediaKind::Video,
        codec: Codec::Vp8,
        payload_type: 96,
        ssrc: 5,
        rtx: Some(egress::Rtx {
            payload_type: 97,
            ssrc: 6,
        }),
        audio_level: None,
        video_orientation: Some(4),
    };
    let text = answer::play(&offer, &tracks, &[sent], &SERVER);
    let audio = text
        .find("m=audio 0 UDP/TLS/RTP/SAVPF 111\r\n")
        .expect("refused");
    let video = text.find("m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\n");
    assert!(Some(audio) < video, "{text}");
    assert!(text.contains("a=msid:stream video\r\na=ssrc-group:FID 5 6\r\n"));
    assert!(text.contains("a=ssrc:5 cname:stream\r\na=ssrc:5 msid:stream video\r\n"));
    assert!(text.contains("a=msid-semantic: WMS stream\r\n"));
    assert!(text.contains("a=extmap:4 urn:3gpp:video-orientation\r\n"));
}

#[test]
fn broken_offers_are_refused_with_a_reason() {
    let reason = |text: &str| Offer::parse(text).map(drop).expect_err("refused").0;
    assert_eq!(reason("hello"), "it does not begin with v=0");
    assert_eq!(reason("v=0\r\n"), "it has no media section");
    assert_eq!(
        reason(&"m=audio 9 X 0\r\n".repeat(9)),
        "it does not begin with v=0"
    );
    let many = format!("v=0\r\n{}", "m=audio 9 X 0\r\n".repeat(9));
    assert_eq!(reason(&many), "it has too many media sections");
    assert_eq!(
        reason(&PUBLISH.replace("a=fingerprint", "a=nothing")),
        "a=fingerprint is missing"
    );
    assert_eq!(
        reason(&PUBLISH.replace("a=ice-pwd:", "a=ice-pwd:é")),
        "a=ice-pwd is not valid"
    );
    assert_eq!(
        reason(&PUBLISH.replace("a=mid:1", "a=mid:0")),
        "two media sections have the same mid"
    );
    assert!(
        reason(&PUBLISH.replace(
            "t=0 0",
            "t=0 0
a=ice-lite"
        ))
        .contains("ICE-lite")
    );
    let long = format!("{PUBLISH}{}", "a=x\r\n".repeat(20_000));
    assert_eq!(reason(&long), "it is too long");
}

#[test]
fn one_payload_type_in_two_sections_is_refused() {
    // In a bundle the payload type tells the sections apart.
    let clash = AUDIO.to_owned()
        + "m=video 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\na=sendonly\r\n\
                                    a=rtpmap:111 VP8/90000\r\n";
    let refused = chosen(&clash, &Config::default());
    assert!(
        matches!(refused, Err(RequestError::BadOffer(_))),
        "{refused:?}"
    );
}
