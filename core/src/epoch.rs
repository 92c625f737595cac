//! The date that a machine's time begins at.

pub(crate) mod pair;

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use str0m::config::{DtlsCert, DtlsVersion};
use str0m::crypto::dtls::DtlsOutput;
use str0m::rtp::RawPacket;
use str0m::rtp::rtcp::Rtcp;
use str0m::{Event, RtcConfig};

use crate::crypto::{self, Certificate};
use crate::entropy::{Entropy, Seed};
use pair::{End, Pair};

/// 2033-01-01 00:00:00 UTC, which every process takes for the beginning of its time.
///
/// It has to be later than the clock of the machine that the process runs on, because what the
/// libraries date cannot be before the process. And it has to leave time until February 2036, when
/// NTP's 32 bits of seconds end.
pub(crate) const BEGINNING: Duration = Duration::from_secs(1_988_150_400);

/// [`base`] as a date, in milliseconds since 1970.
pub const BEGINNING_MS: u64 = BEGINNING.as_millis() as u64;

/// The instant that peers read as 2033-01-01 00:00:00 UTC, in this process.
///
/// The machine has no wall clock: time is an argument, an [`Instant`]. But WebRTC puts dates on
/// the wire, in sender reports, header extensions and DTLS hellos, and the libraries below make
/// them from instants by an anchor of their own, which they take from the clocks of the process
/// when they first need it. This function finds the anchors out, by connecting two peers in
/// memory, and returns the one instant from which the same machine says the same dates in every
/// process and on every day. Receivers use such dates for their differences only.
///
/// Call it before the first [`Sfu`](crate::Sfu) is made, with `probe` being `Instant::now()`: the
/// function itself reads no clock. It costs some ten milliseconds; later calls return the same
/// instant at once. The machine is then told `base + (Instant::now() - probe)`, or, in a
/// simulation, `base` and whatever time it likes to pass.
///
/// On a host whose clock is past 2033 the time begins at `probe`: everything works, but a replay
/// sends other dates.
pub fn base(probe: Instant) -> Instant {
    epoch_or_init(probe).base
}

/// Where the libraries' anchors put the [`BEGINNING`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Epoch {
    /// By the anchor of str0m.
    base: Instant,
    /// By the anchor of dimpl.
    dtls: Instant,
}

/// Process-wide, because the anchors are.
static EPOCH: OnceLock<Epoch> = OnceLock::new();

fn epoch_or_init(probe: Instant) -> Epoch {
    *EPOCH.get_or_init(|| {
        Epoch::find(probe).unwrap_or(Epoch {
            base: probe,
            dtls: probe,
        })
    })
}

/// The instant at which dimpl gives the date that str0m gives at `instant`.
///
/// The anchors of the two are up to a scheduling delay apart, and without this a hello close to
/// the turn of a second would say the one second here and the other one there.
pub(crate) fn to_dtls(instant: Instant) -> Instant {
    EPOCH
        .get()
        .map_or(instant, |epoch| moved(instant, epoch.base, epoch.dtls))
}

/// The inverse of [`to_dtls`].
pub(crate) fn from_dtls(instant: Instant) -> Instant {
    EPOCH
        .get()
        .map_or(instant, |epoch| moved(instant, epoch.dtls, epoch.base))
}

/// `instant` as far from `to` as it is from `from`.
fn moved(instant: Instant, from: Instant, to: Instant) -> Instant {
    let moved = if to >= from {
        instant.checked_add(to - from)
    } else {
        instant.checked_sub(from - to)
    };
    moved.unwrap_or(instant)
}

impl Epoch {
    fn find(probe: Instant) -> Option<Self> {
        let date = date_by_str0m(probe)?
            .duration_since(SystemTime::UNIX_EPOCH)
            .ok()?;
        let base = probe.checked_add(BEGINNING.checked_sub(date)?)?;
        let dtls = second_by_dimpl(base)?;
        Some(Self { base, dtls })
    }
}

/// The date that str0m gives at `instant`, from the sender reports of a connected peer, where it
/// can be read unrounded.
fn date_by_str0m(instant: Instant) -> Option<SystemTime> {
    /// How many steps of the pair there are to connect and report; it takes about ten.
    const STEPS_MAX: usize = 1_000;
    const STEP: Duration = Duration::from_millis(10);

    let seed = Seed([0; 32]);
    let certificate = Certificate::from_seed(&seed);
    let config = || {
        RtcConfig::new()
            .set_rtp_mode(true)
            .enable_raw_packets(true)
            .set_rtcp_report_interval_audio(STEP)
            .set_crypto_provider(crypto::provider())
            .set_dtls_cert(certificate.to_dtls())
            .set_dtls_version(DtlsVersion::Dtls12)
    };
    let offerer = End::new(config(), Entropy::new(&seed), 1, instant);
    let answerer = End::new(config(), Entropy::new(&Seed([1; 32])), 2, instant);
    let mut pair = Pair::connect(offerer, answerer, instant)?;
    pair.offerer.declare_audio();

    // A report can wait before it is sent. The pair's time is that of the report for sure when
    // the time between two reports is the time between the two steps.
    let mut last: Option<(SystemTime, Instant)> = None;
    for _ in 0..STEPS_MAX {
        let events = pair.step(STEP)?;
        let Some(date) = events.iter().find_map(date_reported) else {
            continue;
        };
        if let Some((last_date, last_now)) = last
            && date.duration_since(last_date).ok()? == pair.now() - last_now
        {
            return date.checked_sub(pair.now() - instant);
        }
        last = Some((date, pair.now()));
    }
    None
}

fn date_reported(event: &Event) -> Option<SystemTime> {
    let RawPacket::RtcpTx(Rtcp::SenderReport(report)) = event.as_raw_packet()? else {
        return None;
    };
    Some(report.sender_info.ntp_time)
}

/// The first instant to which dimpl gives the second of the [`BEGINNING`].
///
/// All that dimpl shows of its dates is the second in a hello, so that this looks for the instant
/// at which that second turns.
fn second_by_dimpl(near: Instant) -> Option<Instant> {
    let certificate = Certificate::from_seed(&Seed([0; 32])).to_dtls();
    let mut entropy = Entropy::new(&Seed([0; 32]));
    let mut second = |at: Instant| entropy.lend(|| hello_second(&certificate, at));

    let wanted = BEGINNING.as_secs();
    let found = u64::from(second(near)?);
    let turned = if found <= wanted {
        near.checked_add(Duration::from_secs(wanted - found))?
    } else {
        near.checked_sub(Duration::from_secs(found - wanted))?
    };
    // Invariant: the second has turned `early` before `turned`, but not yet `late` before it.
    let (mut early, mut late) = (Duration::ZERO, Duration::from_secs(1));
    while late - early > Duration::from_nanos(1) {
        let middle = early + (late - early) / 2;
        if u64::from(second(turned.checked_sub(middle)?)?) < wanted {
            late = middle;
        } else {
            early = middle;
        }
    }
    turned.checked_sub(early)
}

/// The second that a DTLS client's hello says at `now`.
fn hello_second(certificate: &DtlsCert, now: Instant) -> Option<u32> {
    // RFC 6347 §4.1 and §4.2.2: a record's header, a handshake message's, the version.
    const TIME_AT: usize = 13 + 12 + 2;

    let provider = crypto::provider().dtls_provider;
    let mut dtls = provider
        .new_dtls(certificate, now, DtlsVersion::Dtls12, None)
        .ok()?;
    dtls.set_active(true);
    dtls.handle_timeout(now).ok()?;
    let mut buffer = [0; 2048];
    let DtlsOutput::Packet(hello) = dtls.poll_output(&mut buffer) else {
        return None;
    };
    let time = hello.get(TIME_AT..)?.first_chunk()?;
    Some(u32::from_be_bytes(*time))
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "what is found depends on the process's clocks"
)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const NANOSECOND: Duration = Duration::from_nanos(1);

    #[test]
    fn peers_read_the_beginning_at_the_base() {
        let base = base(Instant::now());
        for passed in [
            10 * SECOND,
            Duration::from_nanos(123_456_789),
            SECOND - NANOSECOND,
        ] {
            let date = SystemTime::UNIX_EPOCH + BEGINNING + passed;
            assert_eq!(date_by_str0m(base + passed), Some(date));
        }
    }

    #[test]
    fn hellos_turn_their_second_with_the_reports() {
        let base = base(Instant::now());
        let certificate = Certificate::from_seed(&Seed([0; 32])).to_dtls();
        let second = |at| {
            let mut entropy = Entropy::new(&Seed([0; 32]));
            let second = entropy
                .lend(|| hello_second(&certificate, at))
                .expect("says hello");
            u64::from(second) - BEGINNING.as_secs()
        };
        assert_eq!(second(base), 0);
        assert_eq!(second(base + SECOND - NANOSECOND), 0);
        assert_eq!(second(base + SECOND), 1);
        assert_eq!(second(base + 86_400 * SECOND), 86_400);
    }

    #[test]
    fn every_probe_finds_the_same_base() {
        let first = base(Instant::now());
        assert_eq!(base(Instant::now()), first);
        let again = Epoch::find(Instant::now()).expect("finds the anchors");
        // The bisection reads through the shift that the first call has installed.
        assert_eq!(
            again,
            Epoch {
                base: first,
                dtls: first
            }
        );
    }

    #[test]
    fn time_is_moved_there_and_back() {
        let here = Instant::now();
        let there = here + 3 * NANOSECOND;
        let instant = here + SECOND;
        assert_eq!(moved(instant, here, there), instant + 3 * NANOSECOND);
        assert_eq!(moved(moved(instant, here, there), there, here), instant);
    }
}
