//! The `parlor` binary.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parlor::cli::{self, Asked};
use parlor::load::{self, Options};
use parlor::{Server, Settings, config, logs, replay};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The exit code of a wrong command line or configuration.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let flags = match cli::parse(std::env::args_os()) {
        Ok(Asked::Serve(flags)) => flags,
        Ok(Asked::Load(options)) => return load_server(*options),
        Ok(Asked::Replay(options)) => return replay_journals(&options),
        Err(error) => error.exit(),
    };
    let env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let defaults = Settings::of_this_machine(|name| env.get(name).cloned());
    let (settings, warnings) = match config::load(&flags, &env, defaults) {
        Ok(loaded) => loaded,
        Err(error) => {
            say(&error);
            return ExitCode::from(USAGE);
        }
    };
    logs::start(&settings);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    match serve(&settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

fn serve(settings: &Settings) -> Result<(), Box<dyn Error>> {
    interruptible()?;
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let server = Server::start(settings)?;
    let stop = server.stop_handle();
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            if signals.forever().next().is_some() {
                stop.stop();
            }
            // Signals must go on being received, so that a second one has its effect.
            signals.forever().for_each(drop);
        })?;
    // Whoever started the server may have closed its output.
    let _ = std::io::stdout().write_all(parlor::banner(settings, server.addresses()).as_bytes());
    let _ = std::io::stdout().flush();
    server.wait()?;
    Ok(())
}

/// Loads a server; fails where nothing was delivered.
fn load_server(options: Options) -> ExitCode {
    let loaded = interruptible().map_err(Into::into).and_then(|interrupted| {
        let progress = |line: &str| {
            let _ = writeln!(std::io::stderr(), "{line}");
        };
        let report = load::run(&options, &interrupted, progress)?;
        // Whoever started it may have closed its output.
        let _ = options.print(&report, std::io::stdout());
        Ok::<_, Box<dyn Error>>(report.is_success())
    });
    match loaded {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

/// Fails where something came out otherwise than it had.
fn replay_journals(options: &replay::Options) -> ExitCode {
    let mut out = std::io::BufWriter::new(std::io::stdout());
    // The state of a room is for other programs.
    let replayed = match options.until {
        Some(_) => replay::run(options, &mut std::io::stderr(), &mut out),
        None => replay::run(options, &mut out, &mut std::io::sink()),
    };
    // Whoever started it may have closed its output.
    let _ = out.flush();
    match replayed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&error);
            ExitCode::FAILURE
        }
    }
}

/// A flag that the first signal sets. The second one ends the program at once.
fn interruptible() -> std::io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let code = 128 + signal;
        signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&flag))?;
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(flag)
}

/// Says why the server does not run, whatever is logged.
fn say(error: &dyn Error) {
    let _ = writeln!(std::io::stderr(), "parlor: {error}");
}
