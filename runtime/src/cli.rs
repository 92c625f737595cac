//! The command line, made from the table of settings.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::config::{Flags, SETTINGS};
use crate::{load, replay};

const ABOUT: &str = "Parlor, a video-conference server: rooms for browsers, over WebRTC";

const AFTER: &str = "\
Every setting is also an environment variable and a key of the configuration file:
  --media-port 50000    PARLOR_MEDIA_PORT=50000    media-port = 50000
A flag wins over the environment, and the environment over the file. Lists are separated by
commas, or the flag is repeated.

Without arguments it serves on ports 8080 (http, ws) and 8443 (https, wss).";

/// What the command line asks for.
#[derive(Debug)]
pub enum Asked {
    /// The server.
    Serve(Flags),
    /// Load for one.
    Load(Box<load::Options>),
    /// A recorded call again.
    Replay(Box<replay::Options>),
}

/// Reads the command line. What is wrong with it, and `--help`, is clap's error to print.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Asked, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(arguments)?;
    match matches.subcommand() {
        Some(("load", matches)) => match load::options(matches) {
            Ok(options) => Ok(Asked::Load(Box::new(options))),
            Err(why) => Err(command.error(ErrorKind::ValueValidation, why)),
        },
        Some(("replay", matches)) => match replay::options(matches) {
            Ok(options) => Ok(Asked::Replay(Box::new(options))),
            Err(why) => Err(command.error(ErrorKind::ValueValidation, why)),
        },
        Some((_, matches)) => Ok(Asked::Serve(flags(matches))),
        None => Ok(Asked::Serve(flags(&matches))),
    }
}

/// The whole command line.
pub fn command() -> Command {
    Command::new("parlor")
        .about(ABOUT)
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(AFTER)
        .args_conflicts_with_subcommands(true)
        .disable_help_subcommand(true)
        .subcommand(
            Command::new("serve")
                .about("Run the server; so does no command at all")
                .after_help(AFTER)
                .args(arguments()),
        )
        .subcommand(load::command())
        .subcommand(replay::command())
        .args(arguments())
}

fn arguments() -> impl Iterator<Item = Arg> {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help("Read settings from this TOML file [default: parlor.toml, where there is one]");
    let settings = SETTINGS.iter().map(|setting| {
        let default = match setting.default {
            "" => String::new(),
            default => format!(" [default: {default}]"),
        };
        Arg::new(setting.key)
            .long(setting.key)
            .value_name(setting.value)
            .help_heading(setting.heading)
            .help(format!("{}{default}", setting.help))
            .action(if setting.many {
                ArgAction::Append
            } else {
                ArgAction::Set
            })
            .allow_hyphen_values(false)
    });
    std::iter::once(config).chain(settings)
}

fn flags(matches: &ArgMatches) -> Flags {
    let mut values = BTreeMap::new();
    for setting in SETTINGS {
        if let Some(texts) = matches.get_many::<String>(setting.key) {
            values.insert(setting.key.to_owned(), texts.cloned().collect());
        }
    }
    Flags {
        config: matches.get_one::<PathBuf>("config").cloned(),
        values,
    }
}
