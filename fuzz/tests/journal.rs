//! A recorded machine puts out the same bytes again, and what is not the same is found.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a broken expectation ends a test; the base is found by the clock"
)]

use std::ops::Range;
use std::time::{Duration, Instant};

use parlor_core::observe::Observation;
use parlor_core::{
    AudioCodec, Config, Identity, MediaId, MediaKind, MediaPacket, Place, PublicationName, Request,
    RoomName, Team, VideoCodec, epoch,
};
use parlor_fuzz::{ClientKey, Kinds, Network, World, scripted_call, with_format, with_header};
use parlor_journal::{
    BadHeader, Class, Cut, Ending, Happened, MACHINE, Opening, Reader, Record, Replay, Story,
    VERSION, seal,
};

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

fn base() -> Instant {
    epoch::base(Instant::now())
}

fn replay(journal: &[u8]) -> Replay<&[u8]> {
    let mut replay = Replay::new(journal, base()).unwrap();
    let mut happened = Vec::new();
    while replay.step(&mut happened).unwrap() {
        happened.clear();
    }
    replay
}

/// Somebody plays a stream of sound and one of pictures, each of somebody else: no connection
/// has two streams in one direction.
fn call() -> Vec<u8> {
    let mut world = World::recorded(1, base(), Config::default());
    world.network = Network {
        loss: 30,
        ..Network::default()
    };
    let video = Kinds {
        audio: false,
        ..Kinds::BOTH
    };
    let audio = Kinds {
        video: None,
        ..Kinds::BOTH
    };
    for (client, identity) in [(1, "alice"), (2, "bob"), (3, "carol")] {
        world.join(client, "call", identity).unwrap();
    }
    world.publish(1, 1, "call", "a", video).unwrap();
    world.publish(2, 1, "call", "b", audio).unwrap();
    world.run_for(2 * SECOND);
    world.play(3, 1, "call", "a", video).unwrap();
    world.play(3, 2, "call", "b", audio).unwrap();
    world.run_for(4 * SECOND);
    world.journal()
}

#[test]
fn two_recorded_machines_come_out_again_with_what_passed_between_them() {
    let config = Config {
        team: Team {
            size: 2,
            relay_after: 0,
            ..Team::default()
        },
        ..Config::default()
    };
    let mut world = World::recorded(3, base(), config);
    let video = Kinds {
        audio: false,
        ..Kinds::BOTH
    };
    for (client, identity) in [(1, "alice"), (2, "bob")] {
        world.join(client, "call", identity).unwrap();
    }
    world.publish(1, 1, "call", "a", video).unwrap();
    world.run_for(SECOND);
    world.play(2, 1, "call", "a", video).unwrap();
    world.run_for(SECOND);
    world.relay_is_full = true;
    world.run_for(SECOND);
    world.relay_is_full = false;
    world.run_for(SECOND);
    let refused = |record: &Record<'_>| matches!(record, Record::RelayRefused(_));
    let relays = |record: &Record<'_>| matches!(record, Record::Relay { .. });
    let home = world.journal();
    assert!(offsets(&home, refused).len() > 30);
    let second = world.second_journal().unwrap();
    assert!(offsets(&second, relays).len() > 50);
    for journal in [home, second] {
        let replay = replay(&journal);
        assert_eq!(replay.differences(), []);
        assert_eq!(replay.totals().unknown, 0);
    }
}

/// Where the records of a kind begin.
fn offsets(journal: &[u8], wanted: impl Fn(&Record<'_>) -> bool) -> Vec<usize> {
    let (mut reader, _) = Reader::new(journal).unwrap();
    let mut offsets = Vec::new();
    while let Some(entry) = reader.next().unwrap() {
        if wanted(&entry.record) {
            offsets.push(entry.offset as usize);
        }
    }
    offsets
}

#[test]
fn a_recorded_call_comes_out_again_byte_for_byte() {
    let journal = call();
    let replay = replay(&journal);
    assert_eq!(replay.differences(), []);
    assert_eq!(replay.ending(), Some(Ending::Cut(Cut::Stopped)));
    let totals = replay.totals();
    assert!(totals.inputs > 500 && totals.compared > 300, "{totals:?}");
    assert!(
        totals.datagrams.iter().all(|count| *count > 5),
        "{totals:?}"
    );
    assert!(totals.events > 8 && totals.replies == 7, "{totals:?}");
}

#[test]
fn a_call_of_two_streams_a_connection_comes_out_again() {
    let mut world = scripted_call(3, base()).unwrap();
    let journal = world.journal();
    let replay = replay(&journal);
    let totals = replay.totals();
    assert_eq!(totals.differing, 0, "{totals:?}");
    assert!(totals.compared > 500, "{totals:?}");
}

#[test]
fn a_datagram_that_is_left_out_is_found_where_it_was() {
    let journal = call();
    let datagrams = offsets(&journal, |record| matches!(record, Record::Datagram(_)));
    // Somewhere in the middle, and to the next record.
    let begin = datagrams[datagrams.len() / 2];
    let end = offsets(&journal, |_| true)
        .into_iter()
        .find(|offset| *offset > begin)
        .unwrap();
    let left_out = [&journal[..begin], &journal[end..]].concat();
    let replay = replay(&left_out);
    let first = &replay.differences()[0];
    assert!(
        first.agreed < begin as u64 && first.offset + 200 > begin as u64,
        "{first:?}"
    );
    assert!(first.offset < begin as u64 + 20_000, "{first:?}");
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    let journal = call();
    let whole = replay(&journal);
    let step = journal.len() / 97;
    for (number, at) in (0..journal.len()).step_by(step).enumerate() {
        let mut flipped = journal.clone();
        flipped[at] ^= 1 << (number % 8);
        let Ok(mut replay) = Replay::new(flipped.as_slice(), base()) else {
            continue;
        };
        while replay.step(&mut Vec::new()).unwrap() {}
        assert!(
            matches!(replay.ending(), Some(Ending::Damaged { offset }) if offset <= at as u64),
            "at {at}: {:?}",
            replay.ending()
        );
        assert_eq!(replay.differences(), [], "what is before it stands");
        assert!(replay.totals().compared <= whole.totals().compared);
    }
}

/// The journal with one bit flipped in the content of the record there, at the place that `at`
/// names, and its check made anew.
fn changed(journal: &[u8], place: Range<usize>, at: impl Fn(&[u8]) -> usize) -> Vec<u8> {
    // The kind, two numbers of some bytes, the content and the check.
    let record = &journal[place.clone()];
    let number =
        |from: usize| from + record[from..].iter().take_while(|it| **it >= 0x80).count() + 1;
    let content = number(number(1));
    let mut since = 0;
    for (place, byte) in record[1..number(1)].iter().enumerate() {
        since |= u64::from(byte & 0x7f) << (7 * place);
    }
    let mut content = record[content..record.len() - 4].to_vec();
    let at = at(&content);
    content[at] ^= 1;
    let mut changed = journal[..place.start].to_vec();
    seal(record[0], since, &content, &mut changed);
    assert_eq!(changed.len(), place.end, "nothing else is moved");
    changed.extend_from_slice(&journal[place.end..]);
    changed
}

#[test]
fn a_changed_byte_of_a_datagram_is_told_with_its_time_and_place() {
    let journal = call();
    // A packet that the publisher sends, in the middle.
    let media = |record: &Record<'_>| matches!(record, Record::Datagram(datagram) if Class::of(datagram.contents) == Class::Rtp);
    let packets = offsets(&journal, media);
    let begin = packets[packets.len() / 2];
    let (mut reader, _) = Reader::new(journal.as_slice()).unwrap();
    let mut at = Duration::ZERO;
    let mut end = journal.len();
    while let Some(entry) = reader.next().unwrap() {
        match entry.offset as usize {
            offset if offset == begin => at = entry.at,
            offset if offset > begin => {
                end = offset;
                break;
            }
            _ => {}
        }
    }
    let changed = changed(&journal, begin..end, |content| content.len() - 1);
    let replay = replay(&changed);
    let first = &replay.differences()[0];
    assert!(first.agreed < begin as u64 && first.offset > begin as u64);
    let late = first.at.saturating_sub(at);
    assert!(
        first.at >= at && late < SECOND,
        "{first:?}, changed at {at:?}"
    );
    assert!(first.what.contains("SRTP"), "{first:?}");
}

/// What an encoder brings is not sealed, so that a byte of it that changes changes nothing else than
/// that byte of what players get, and the tag.
#[test]
fn a_changed_byte_amid_a_picture_is_found_in_what_players_get() {
    let mut world = World::recorded(4, base(), Config::default());
    for (client, identity) in [(1, "encoder"), (2, "bob")] {
        world.join(client, "call", identity).unwrap();
    }
    let ingest = Request::Ingest {
        media: MediaId(1),
        place: Place::Room(RoomName::new("call").unwrap()),
        name: PublicationName::new("cam").unwrap(),
        audio: Some(AudioCodec::Opus),
        video: None,
    };
    world.request(1, ingest).unwrap();
    world.play(2, 1, "call", "cam", Kinds::BOTH).unwrap();
    let mut payload = [0x55; 300];
    for number in 0..100_u32 {
        payload[200] = number as u8;
        let packet = MediaPacket {
            kind: MediaKind::Audio,
            timestamp: 960 * number,
            marker: false,
            captured: 20 * MILLISECOND * number,
            payload: &payload,
        };
        world.media(1, 1, packet);
        world.run_for(20 * MILLISECOND);
    }
    let journal = world.journal();
    assert_eq!(replay(&journal).differences(), []);
    let media = |record: &Record<'_>| matches!(record, Record::Media { .. });
    let packets = offsets(&journal, media);
    let all = offsets(&journal, |_| true);
    let begin = packets[80];
    let end = *all.iter().find(|offset| **offset > begin).unwrap();
    // In the midst of its 300 bytes.
    let amid = |content: &[u8]| content.len() - 100;
    let changed = changed(&journal, begin..end, amid);
    let replay = replay(&changed);
    assert_eq!(replay.differences().len(), 1, "{:?}", replay.differences());
    let first = &replay.differences()[0];
    assert!(first.offset > begin as u64 && first.what.contains("SRTP"));
}

/// A browser that publishes is played by sinks alone: nothing leaves as a datagram, and yet what
/// they get depends on when that was looked for.
#[test]
fn what_only_sinks_get_comes_out_again() {
    let mut world = World::recorded(9, base(), Config::default());
    world.join(1, "call", "alice").unwrap();
    world.publish(1, 1, "call", "a", Kinds::BOTH).unwrap();
    world.run_for(SECOND);
    let sink = Request::Sink {
        media: MediaId(1),
        place: Place::Room(RoomName::new("call").unwrap()),
        name: PublicationName::new("a").unwrap(),
        audio: vec![AudioCodec::Opus],
        video: vec![VideoCodec::H264],
    };
    world.request(2, sink).unwrap();
    world.run_for(2 * SECOND);
    let journal = world.journal();
    let replay = replay(&journal);
    assert_eq!(replay.differences(), []);
    assert!(replay.totals().sunk > 100, "{:?}", replay.totals());
}

/// Pictures of one stream wait for a key frame, and come with sound of another one.
#[test]
fn packets_that_nobody_gets_are_not_passed_on_later() {
    let mut world = World::recorded(10, base(), Config::default());
    world.turn = Duration::from_millis(40);
    for (client, identity) in [(1, "alice"), (2, "bob"), (3, "carol")] {
        world.join(client, "call", identity).unwrap();
    }
    world.publish(1, 1, "call", "a", Kinds::BOTH).unwrap();
    world.publish(2, 1, "call", "b", Kinds::BOTH).unwrap();
    // Nobody plays yet, and so much comes that a later drain would begin in its midst.
    world.run_for(3 * SECOND);
    world.play(3, 1, "call", "a", Kinds::BOTH).unwrap();
    world.play(3, 2, "call", "b", Kinds::BOTH).unwrap();
    world.run_for(3 * SECOND);
    let journal = world.journal();
    let replay = replay(&journal);
    assert_eq!(replay.differences(), []);
    assert!(replay.totals().datagrams[2] > 200, "{:?}", replay.totals());
}

#[test]
fn a_journal_of_another_version_still_verifies_where_the_same_comes_out() {
    let other = with_header(&call(), |header| header.replace(MACHINE, "another"));
    let replay = replay(&other);
    assert_eq!(replay.header().machine, "another");
    assert_eq!(replay.differences(), []);
    assert!(replay.totals().compared > 300);
}

#[test]
fn a_later_format_is_read_as_far_as_it_can_be() {
    let journal = call();
    let later = VERSION + 1;
    let of_later = with_format(&journal, later);
    let same = replay(&of_later);
    assert_eq!(same.format(), later);
    assert_eq!(same.differences(), []);
    assert_eq!(same.totals(), replay(&journal).totals());
    // A header that it cannot read is no damage.
    let other = with_header(&of_later, |_| "[]".to_owned());
    assert!(matches!(
        Reader::new(other.as_slice()),
        Err(BadHeader::Format(version)) if version == later
    ));
}

#[test]
fn an_output_that_cannot_be_read_is_counted_as_not_compared() {
    let mut journal = call();
    let end = offsets(&journal, |record| matches!(record, Record::Cut(_)))[0];
    journal.truncate(end);
    let mut unknown = journal.clone();
    // Of a kind that is no input, and that there is none of.
    seal(31, 0, b"what came out", &mut unknown);
    let (whole, more) = (replay(&journal).totals(), replay(&unknown).totals());
    assert_eq!((whole.uncompared, more.uncompared), (0, 1));
    assert_eq!(whole.compared, more.compared);
}

#[test]
fn a_torn_journal_is_read_up_to_the_tear() {
    let journal = call();
    let whole = replay(&journal).totals();
    for cut in [1, 2, 4, 7, 100, journal.len() / 2] {
        let replay = replay(&journal[..journal.len() - cut]);
        assert!(
            matches!(replay.ending(), Some(Ending::Torn { .. })),
            "{cut}"
        );
        assert_eq!(replay.differences(), []);
        assert!(replay.totals().inputs <= whole.inputs);
    }
    let records = offsets(&journal, |_| true);
    let replay = replay(&journal[..records[records.len() / 2]]);
    assert!(matches!(replay.ending(), Some(Ending::Torn { .. })));
}

#[test]
fn what_is_no_journal_is_told_from_one_that_has_hardly_begun() {
    let journal = call();
    let why = |bytes: &[u8]| match Reader::new(bytes) {
        Ok(_) => "nothing".to_owned(),
        Err(error) => error.to_string(),
    };
    assert!(why(b"").starts_with("it is empty"), "{}", why(b""));
    for text in ["P", "PARLOT", "a text", "PARLO", "PARLOR2 is not out yet"] {
        let expected = match text {
            "P" | "PARLO" => "it has no whole header",
            "PARLOR2 is not out yet" => "its format is version",
            _ => "this is not a journal",
        };
        let why = why(text.as_bytes());
        assert!(why.starts_with(expected), "{text}: {why}");
    }
    let header = offsets(&journal, |_| true)[0];
    for length in 1..header {
        let why = why(&journal[..length]);
        assert!(why.starts_with("it has no whole header"), "{length}: {why}");
    }
    assert_eq!(why(&journal[..header]), "nothing");
    for cut in [Cut::Lost, Cut::Stopped] {
        let why = why(&cut.mark());
        assert!(why.starts_with("it has no whole header"), "{why}");
    }
    assert!(why(&[0x1f, 0x8b, 8, 0]).contains("gzip"));
    let mut damaged = journal.clone();
    damaged[header / 2] ^= 1;
    assert!(why(&damaged).contains("header is damaged"));
}

#[test]
fn another_configuration_is_another_machine() {
    let journal = call();
    let mut replay = Replay::with_config(journal.as_slice(), base(), |config| Config {
        ice_timeout: config.ice_timeout / 1_000,
        ..config
    })
    .unwrap();
    while replay.step(&mut Vec::new()).unwrap() {}
    let first = &replay.differences()[0];
    assert!(first.at > Duration::ZERO && first.agreed > 0, "{first:?}");
}

#[test]
fn a_room_can_be_looked_at_as_it_was() {
    let journal = call();
    let mut replay = Replay::new(journal.as_slice(), base()).unwrap();
    let mut happened = Vec::new();
    while replay.at() < 4 * SECOND && replay.step(&mut happened).unwrap() {}
    let room = replay.room_state(&RoomName::new("call").unwrap()).unwrap();
    let names: Vec<&str> = room
        .participants
        .iter()
        .map(|participant| participant.identity.as_str())
        .collect();
    assert_eq!(names, ["alice", "bob", "carol"]);
    assert_eq!(room.publications.len(), 2);
    for publication in room.publications {
        assert!(
            publication.announced && publication.players[0].live,
            "{publication:?}"
        );
        assert!(!publication.players[0].waits_for_keyframe);
        assert_eq!(publication.players[0].addresses.len(), 1);
    }
    assert!(
        happened
            .iter()
            .any(|step| matches!(step, Happened::Observed(_)))
    );
}

/// Tells a journal's story, and counts the packets of media that could be read.
fn story(journal: &[u8]) -> (Vec<String>, u64) {
    let mut replay = Replay::new(journal, base()).unwrap();
    let (mut story, mut opening) = (Story::default(), Opening::default());
    let (mut lines, mut read) = (Vec::new(), 0);
    let mut happened = Vec::new();
    while replay.step(&mut happened).unwrap() {
        for step in happened.drain(..) {
            story.hear(replay.at(), &step);
            let validated = opening.hear(&step, |clear| {
                read += u64::from(matches!(clear.class, Class::Rtp | Class::Rtcp));
                story.packet(&clear);
            });
            for (way, stream) in validated {
                story.validated(way, stream);
            }
            if let Happened::Observed(Observation::Secured {
                client,
                media,
                reader,
            }) = step
            {
                opening.secure(client, media, reader);
                story.secured((client, media));
            }
        }
        lines.extend(story.take().into_iter().map(|line| line.text));
    }
    (lines, read)
}

#[test]
fn a_story_tells_what_happened_in_its_order() {
    let journal = scripted_call(3, base()).unwrap().journal();
    let (lines, read) = story(&journal);
    let mut at = 0;
    for (who, what) in [
        ("alice", "enters the room"),
        ("bob", "enters the room"),
        ("alice", "publishes"),
        ("alice", "is validated"),
        ("alice", "DTLS is done"),
        ("bob", "plays \"alice-stream\""),
        ("alice's stream", "the server asks for a key frame"),
        ("bob, playing", "the first key frame"),
        ("bob", "sent again"),
        ("alice, playing", "asks for a key frame"),
        ("bob", "leaves the room"),
        ("alice, playing", "ends, because the publisher has stopped"),
    ] {
        let found = lines[at..]
            .iter()
            .position(|line| line.contains(who) && line.contains(what));
        at += found.unwrap_or_else(|| panic!("{who}: {what} in {lines:#?}"));
    }
    let media: u64 = replay(&journal).totals().datagrams[2..].iter().sum();
    assert!(
        read > media,
        "all that went out, and what came in: {read} of {media}"
    );
}

#[test]
fn a_frozen_picture_is_told_with_its_cause() {
    let mut world = World::recorded(5, base(), Config::default());
    world.join(1, "call", "alice").unwrap();
    world.join(2, "call", "bob").unwrap();
    let alice = world.publish(1, 1, "call", "a", Kinds::BOTH).unwrap();
    world.run_for(2 * SECOND);
    world.play(2, 1, "call", "a", Kinds::BOTH).unwrap();
    world.run_for(2 * SECOND);
    world.clients[alice].unplugged = true;
    world.run_for(3 * SECOND);
    world.clients[alice].unplugged = false;
    world.run_for(2 * SECOND);
    let (lines, _) = story(&world.journal());
    let tells = |text: &str| lines.iter().any(|line| line.contains(text));
    assert!(
        tells("bob, playing \"a\": the picture stands still: nothing comes from the publisher"),
        "{lines:#?}"
    );
    assert!(
        tells("alice's stream \"a\": the picture stands still"),
        "{lines:#?}"
    );
    assert!(
        tells("bob, playing \"a\": the picture moves again, after 3."),
        "{lines:#?}"
    );
}

#[test]
fn who_only_watches_is_told_in_the_room_to_the_end() {
    let mut world = World::recorded(6, base(), Config::default());
    world.join(1, "call", "alice").unwrap();
    world.publish(1, 1, "call", "a", Kinds::BOTH).unwrap();
    world.run_for(SECOND);
    world.watch(7, 1, "call", "alice", Kinds::BOTH).unwrap();
    world.run_for(SECOND);
    world.request(7, Request::Disconnect).unwrap();
    let journal = world.journal();
    let mut replay = Replay::new(journal.as_slice(), base()).unwrap();
    let (mut story, mut happened) = (Story::default(), Vec::new());
    while replay.step(&mut happened).unwrap() {
        for step in happened.drain(..) {
            story.hear(replay.at(), &step);
        }
    }
    let lines = story.take();
    let gone = lines.iter().find(|line| line.text == "client 7 is gone");
    let room = gone.unwrap().room.as_ref();
    assert_eq!(room.map(RoomName::as_str), Some("call"));
}

/// A call of Alice and Bob, whom the second machine shows her stream to.
fn relayed_call() -> (World, ClientKey) {
    let config = Config {
        team: Team {
            size: 2,
            relay_after: 0,
            ..Team::default()
        },
        ..Config::default()
    };
    let mut world = World::recorded(5, base(), config);
    world.join(1, "call", "alice").unwrap();
    world.join(2, "call", "bob").unwrap();
    world.edit_offer = Some(parlor_fuzz::without_sources);
    let alice = world.publish(1, 1, "call", "a", Kinds::BOTH).unwrap();
    world.edit_offer = None;
    world.run_for(2 * SECOND);
    world.play(2, 1, "call", "a", Kinds::BOTH).unwrap();
    world.run_for(2 * SECOND);
    (world, alice)
}

/// That the lines contain these, in this order.
fn tells(lines: &[String], parts: &[&str]) {
    let mut at = 0;
    for part in parts {
        let found = lines[at..].iter().position(|line| line.contains(part));
        assert!(found.is_some(), "{part} in {lines:#?}");
        at += 1 + found.unwrap();
    }
}

#[test]
fn the_worker_that_shows_a_stream_tells_whose_picture_stands_still() {
    let (mut world, alice) = relayed_call();
    world.clients[alice].unplugged = true;
    world.run_for(3 * SECOND);
    world.clients[alice].unplugged = false;
    world.run_for(2 * SECOND);
    // Somebody else plays on.
    world.join(3, "call", "carol").unwrap();
    world.play(3, 1, "call", "a", Kinds::BOTH).unwrap();
    world.run_for(SECOND);
    world
        .request(2, Request::Stop { media: MediaId(1) })
        .unwrap();
    world.run_for(2 * SECOND);
    let (lines, _) = story(&world.second_journal().unwrap());
    let bob = "bob (client 2 of another worker), playing \"a\": ";
    tells(
        &lines,
        &[
            "begins",
            "DTLS is done",
            "is connected",
            "the first key frame",
            "the picture stands still: nothing of it comes from the publisher's worker",
            "the picture moves again, after 3.",
            "is stopped by the other worker",
        ]
        .map(|part| format!("{bob}{part}"))
        .each_ref()
        .map(String::as_str),
    );
    let still = lines.iter().filter(|line| line.contains("stands still"));
    assert_eq!(
        still.count(),
        1,
        "what is over does not stand still: {lines:#?}"
    );
}

#[test]
fn the_worker_that_shows_a_stream_tells_when_it_waits_for_a_key_frame() {
    let (mut world, alice) = relayed_call();
    // Pictures of another source come, and none of them can be begun with.
    let encoder = &mut world.clients[alice];
    encoder.switch_source();
    encoder.ignored_requests = usize::MAX;
    world.run_for(3 * SECOND);
    let (lines, _) = story(&world.second_journal().unwrap());
    tells(
        &lines,
        &[
            "bob (client 2 of another worker), playing \"a\": the picture stands still: the publisher sends, \
           and the server waits for a key frame",
        ],
    );
}

#[test]
fn a_line_of_a_guest_is_about_the_player_and_the_publisher() {
    let (mut world, _) = relayed_call();
    let journal = world.second_journal().unwrap();
    let mut replay = Replay::new(journal.as_slice(), base()).unwrap();
    let mut story = Story::default();
    let mut happened = Vec::new();
    while replay.step(&mut happened).unwrap() {
        for step in happened.drain(..) {
            story.hear(replay.at(), &step);
        }
    }
    let lines = story.take();
    let line = lines.iter().find(|line| line.text.ends_with("begins"));
    let line = line.unwrap();
    let who: Vec<&str> = line.who.iter().map(Identity::as_str).collect();
    assert_eq!(who, ["bob", "alice"]);
    assert_eq!(line.room.as_ref().map(RoomName::as_str), Some("call"));
}

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/call.journal");

/// A short call with everything in it.
fn short_call() -> Vec<u8> {
    let mut world = World::recorded(8, base(), Config::default());
    world.network = Network {
        loss: 50,
        ..Network::default()
    };
    world.join(1, "call", "alice").unwrap();
    world.join(2, "call", "bob").unwrap();
    world.publish(1, 1, "call", "a", Kinds::BOTH).unwrap();
    world.run_for(SECOND / 2);
    world.play(2, 1, "call", "a", Kinds::BOTH).unwrap();
    world.run_for(SECOND);
    world.journal()
}

/// With `PARLOR_BLESS=1` in the environment the journal is made anew.
#[test]
fn the_committed_journal_verifies_in_this_process() {
    if std::env::var_os("PARLOR_BLESS").is_some() {
        std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures")).unwrap();
        std::fs::write(FIXTURE, short_call()).unwrap();
    }
    let journal = std::fs::read(FIXTURE).unwrap();
    let replay = replay(&journal);
    assert_eq!(replay.ending(), Some(Ending::Cut(Cut::Stopped)));
    let totals = replay.totals();
    assert!(totals.inputs > 100 && totals.unknown == 0, "{totals:?}");
    let differences = replay.differences();
    assert!(
        differences.is_empty(),
        "the machine puts out other bytes than were recorded; where that is meant, \
         PARLOR_BLESS=1 makes the journal anew: {differences:?}"
    );
}
