//! The command line of `parlor load`.

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::media;
use super::publisher::Pace;
use crate::limits;

/// What is to be done to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Host and port, as in a URL.
    pub(super) host: String,
    pub(super) publishers: usize,
    /// Of each publisher.
    pub(super) players: usize,
    pub(super) rooms: usize,
    pub(super) seconds: u64,
    pub(super) pace: Pace,
    pub(super) threads: usize,
    /// Streams that are begun at the same time.
    pub(super) joins: usize,
    pub(super) pid: Option<u32>,
    pub(super) json: bool,
    /// Paths with `{room}` and `{name}` in them.
    pub(super) whip: String,
    pub(super) whep: String,
    pub(super) bearer: Option<String>,
    /// The receiving sockets take several datagrams as one.
    pub(super) offload: bool,
    pub(super) prefix: String,
}

const ABOUT: &str = "Load a server by WHIP and WHEP, and measure what it delivers";
const AFTER: &str = "\
Each publisher sends a picture in the shape of H.264 and, with --audio, sound; each of its players \
opens every packet, reports once a second, and asks for what is lost. Whoever runs it needs the \
right to load that server: it is no tool for servers of others.

  parlor load --url http://127.0.0.1:8080 --players 100 --pid $(pidof -s parlor)
  parlor load --url http://host:8889 --whip /{room}-{name}/whip --whep /{room}-{name}/whep

The measurement begins when all players have media. It exits with 1 when nothing was delivered.";

/// The command line's part for this.
pub(crate) fn command() -> Command {
    Command::new("load")
        .about(ABOUT)
        .after_help(AFTER)
        .args(arguments())
}

fn arguments() -> Vec<Arg> {
    let number = |name, short: Option<char>, most: u64, default, help: &'static str| {
        Arg::new(name)
            .long(name)
            .short(short)
            .value_name("N")
            .value_parser(value_parser!(u64).range(0..=most))
            .default_value(default)
            .help(help)
    };
    let text = |name, value, help: &'static str| {
        let arg = Arg::new(name).long(name).value_name(value);
        arg.help(help)
    };
    let flag = |name, help: &'static str| {
        let arg = Arg::new(name).long(name).action(ArgAction::SetTrue);
        arg.help(help)
    };
    let players = limits::LOAD_PLAYERS as u64;
    vec![
        text("url", "URL", "The server: http://HOST:PORT").default_value("http://127.0.0.1:8080"),
        number(
            "publishers",
            Some('p'),
            limits::LOAD_PUBLISHERS as u64,
            "1",
            "Publishers",
        ),
        number(
            "players",
            Some('s'),
            players,
            "10",
            "Players of each publisher",
        ),
        number(
            "rooms",
            None,
            players,
            "0",
            "Rooms to spread them over; 0: one a publisher",
        ),
        number("seconds", Some('t'), 86_400, "10", "How long to measure"),
        number(
            "packets",
            None,
            10_000,
            "240",
            "Packets of a picture each second; 0: none",
        ),
        number(
            "pictures",
            None,
            240,
            "30",
            "Pictures each second; their packets leave at once",
        ),
        number("bytes", None, 1_200, "1100", "Bytes of a packet's payload"),
        flag("audio", "Publish sound too: 50 packets each second"),
        number(
            "threads",
            None,
            64,
            "0",
            "Threads of this tool; 0: one less than cores",
        ),
        number(
            "joins",
            None,
            1_024,
            "16",
            "Streams that are begun at the same time",
        ),
        text(
            "pid",
            "PID",
            "The server's process on this machine: tells its processor time and memory",
        )
        .value_parser(value_parser!(u32).range(1..)),
        flag("json", "Print the result as a JSON object"),
        text("whip", "PATH", "Where to publish").default_value("/whip/{room}/{name}"),
        text("whep", "PATH", "Where to play").default_value("/whep/{room}/{name}"),
        text("bearer", "TOKEN", "Say this token to the server"),
        flag(
            "no-offload",
            "Take datagrams one by one from the system (no GRO), as browsers do",
        ),
        text("prefix", "TEXT", "What the names of rooms begin with").default_value("load"),
    ]
}

/// The options of a command line that [`command`] has accepted.
///
/// # Errors
/// A sentence about what they say together, or a URL that is none.
pub(crate) fn options(matches: &ArgMatches) -> Result<Options, String> {
    let number = |name| matches.get_one::<u64>(name).copied().unwrap_or_default();
    let text = |name| matches.get_one::<String>(name).cloned().unwrap_or_default();
    let size = |name| usize::try_from(number(name)).unwrap_or(usize::MAX);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let or = |value: usize, otherwise| if value == 0 { otherwise } else { value };
    let publishers = size("publishers").max(1);
    let options = Options {
        host: host(&text("url"))?,
        publishers,
        players: size("players"),
        rooms: or(size("rooms"), publishers),
        seconds: number("seconds").max(1),
        pace: Pace {
            packets: number("packets") as u32,
            pictures: (number("pictures") as u32).max(1),
            bytes: size("bytes").max(media::LEAST),
            audio: matches.get_flag("audio"),
        },
        threads: or(size("threads"), cores.saturating_sub(1).max(1)),
        joins: size("joins").max(1),
        pid: matches.get_one::<u32>("pid").copied(),
        json: matches.get_flag("json"),
        whip: path("whip", text("whip"))?,
        whep: path("whep", text("whep"))?,
        bearer: matches.get_one::<String>("bearer").cloned(),
        offload: !matches.get_flag("no-offload"),
        prefix: text("prefix"),
    };
    let most = limits::LOAD_PLAYERS;
    if options.players * options.publishers > most {
        return Err(format!("--publishers times --players is more than {most}"));
    }
    let printable = |text: &String| text.bytes().all(|byte| byte.is_ascii_graphic());
    if !printable(&options.prefix) || !options.bearer.iter().all(printable) {
        return Err("--prefix and --bearer are of ASCII characters without spaces".into());
    }
    Ok(options)
}

fn host(url: &str) -> Result<String, String> {
    if url.starts_with("https:") {
        return Err("--url: only http is spoken here; media is encrypted all the same".into());
    }
    let host = url
        .strip_prefix("http://")
        .unwrap_or(url)
        .trim_end_matches('/');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if host.is_empty() || !host.bytes().all(plain) {
        return Err(format!("--url: {url:?} is not http://HOST:PORT"));
    }
    let after_address = host.rsplit(']').next().unwrap_or(host);
    Ok(match after_address.contains(':') {
        true => host.to_owned(),
        false => format!("{host}:80"),
    })
}

fn path(name: &str, path: String) -> Result<String, String> {
    if path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(path)
    } else {
        Err(format!(
            "--{name}: {path:?} is no path, such as /whip/{{room}}/{{name}}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, String> {
        let words = line.split_whitespace();
        let matches = command().try_get_matches_from(std::iter::once("load").chain(words));
        options(&matches.map_err(|error| error.to_string())?)
    }

    #[test]
    fn a_url_is_a_host_and_a_port() {
        for (url, host) in [
            ("http://a:1", "a:1"),
            ("http://a/", "a:80"),
            ("[::1]:8080", "[::1]:8080"),
            ("http://[::1]", "[::1]:80"),
        ] {
            assert_eq!(read(&format!("--url {url}")).unwrap().host, host);
        }
        for url in ["https://a", "http://", "http://a/whip"] {
            assert!(read(&format!("--url {url}")).unwrap_err().contains("--url"));
        }
    }

    #[test]
    fn numbers_are_bounded() {
        let options = read("-p 3 -s 5").unwrap();
        assert_eq!(
            (options.publishers, options.players, options.rooms),
            (3, 5, 3)
        );
        assert!(read("-p 1000 -s 1000").unwrap_err().contains("more than"));
        assert!(read("--bytes 1300").is_err());
        assert!(read("--whip nowhere").unwrap_err().contains("--whip"));
    }
}
