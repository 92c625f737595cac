use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use super::*;

fn flags(given: &[(&str, &str)]) -> Flags {
    let mut flags = Flags::default();
    for (key, value) in given {
        flags
            .values
            .entry((*key).to_owned())
            .or_default()
            .push((*value).to_owned());
    }
    flags
}

fn env(given: &[(&str, &str)]) -> BTreeMap<String, String> {
    given
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// A configuration file; removed with the first value.
fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("my.toml");
    std::fs::File::create(&path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    (dir, path)
}

fn with_file(text: &str) -> Result<Settings, String> {
    let (_dir, path) = file(text);
    let flags = Flags {
        config: Some(path.clone()),
        ..Flags::default()
    };
    load(&flags, &env(&[]), Settings::default())
        .map(|(settings, _)| settings)
        .map_err(|error| error.to_string().replace(path.to_str().unwrap(), "FILE"))
}

fn refused(flags: &Flags, env: &BTreeMap<String, String>) -> String {
    load(flags, env, Settings::default())
        .unwrap_err()
        .to_string()
}

#[test]
fn the_defaults_in_the_help_are_the_defaults() {
    for setting in SETTINGS {
        if [
            "",
            "one per core",
            "all interfaces",
            "the user's state directory",
        ]
        .contains(&setting.default)
        {
            continue;
        }
        let mut settings = Settings::default();
        let texts: Vec<&str> = setting.default.split(',').collect();
        let texts = if setting.many {
            texts
        } else {
            vec![setting.default]
        };
        (setting.apply)(&mut settings, &texts).unwrap();
        assert_eq!(settings, Settings::default(), "{}", setting.key);
    }
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let (_dir, path) = file("media-port = 1\nworkers = 2\nping-attempts = 3\n");
    let mut flags = flags(&[("media-port", "100")]);
    flags.config = Some(path);
    let env = env(&[("PARLOR_MEDIA_PORT", "10"), ("PARLOR_WORKERS", "20")]);
    let (settings, _) = load(&flags, &env, Settings::default()).unwrap();
    assert_eq!(settings.media_port, 100);
    assert_eq!(settings.workers, 20);
    assert_eq!(settings.ping_attempts, 3);
    assert_eq!(settings.ice_timeout, Settings::default().ice_timeout);
}

#[test]
fn an_empty_variable_is_not_set() {
    let env = env(&[
        ("PARLOR_WORKERS", ""),
        ("PARLOR_PUBLIC_IP", ""),
        ("PARLOR_CONFIG", ""),
    ]);
    let (settings, warnings) = load(&Flags::default(), &env, Settings::default()).unwrap();
    assert_eq!(settings, Settings::default());
    assert!(warnings.is_empty());
}

#[test]
fn lists_are_repeated_flags_or_commas_or_arrays() {
    let ips: Vec<std::net::IpAddr> =
        vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    let repeated = flags(&[("public-ip", "192.0.2.1"), ("public-ip", "2001:db8::1")]);
    let (settings, _) = load(&repeated, &env(&[]), Settings::default()).unwrap();
    assert_eq!(settings.public_ips, ips);
    let commas = env(&[("PARLOR_PUBLIC_IP", "192.0.2.1, 2001:db8::1")]);
    let (settings, _) = load(&Flags::default(), &commas, Settings::default()).unwrap();
    assert_eq!(settings.public_ips, ips);
    let settings = with_file("public-ip = ['192.0.2.1', '2001:db8::1']").unwrap();
    assert_eq!(settings.public_ips, ips);
}

#[test]
fn a_wrong_value_is_named_with_its_place_and_what_is_allowed() {
    let none = env(&[]);
    for (key, value, text) in [
        (
            "workers",
            "0",
            "--workers: \"0\" is not allowed, expected a whole number from 1 to 64",
        ),
        (
            "media-port",
            "65536",
            "--media-port: \"65536\" is not allowed, expected a port from 0 to 65535",
        ),
        (
            "video-codecs",
            "h264,av1",
            "--video-codecs: \"h264,av1\" is not allowed, expected one or more of h264, vp8, each \
             once",
        ),
        (
            "audio-codecs",
            "opus,opus",
            "--audio-codecs: \"opus,opus\" is not allowed, expected one or more of opus, pcmu, \
             pcma, each once",
        ),
        (
            "listen",
            "here",
            "--listen: \"here\" is not allowed, expected an IP address and port such as \
             127.0.0.1:8080 or [::]:8080, or a port alone",
        ),
        (
            "public-ip",
            "0.0.0.0",
            "--public-ip: \"0.0.0.0\" is not allowed, expected the IP address of a host, such as \
             203.0.113.7 or 2001:db8::7",
        ),
        (
            "log-format",
            "xml",
            "--log-format: \"xml\" is not allowed, expected one of text, json",
        ),
        (
            "log",
            "loud",
            "--log: \"loud\" is not allowed, expected one of off, error, warn, info, debug, \
             trace, or a filter such as warn,parlor=debug",
        ),
        (
            "ice-timeout",
            "1.5",
            "--ice-timeout: \"1.5\" is not allowed, expected whole seconds, from 1 to 3600",
        ),
    ] {
        assert_eq!(refused(&flags(&[(key, value)]), &none), text);
    }
    assert_eq!(
        refused(&Flags::default(), &env(&[("PARLOR_MAX_ROOMS", "many")])),
        "PARLOR_MAX_ROOMS: \"many\" is not allowed, expected a whole number from 1 to 1000000"
    );
    assert_eq!(
        with_file("max-rooms = -1").unwrap_err(),
        "FILE: max-rooms: \"-1\" is not allowed, expected a whole number from 1 to 1000000"
    );
    assert_eq!(
        with_file("max-rooms = true").unwrap_err(),
        "FILE: max-rooms: \"true\" is not allowed, expected a text, a number, or an array of them"
    );
}

#[test]
fn an_unknown_key_of_the_file_is_refused_with_the_nearest() {
    assert_eq!(
        with_file("public_ips = '192.0.2.1'").unwrap_err(),
        "FILE: there is no setting \"public_ips\", did you mean \"public-ip\"?"
    );
    assert_eq!(
        with_file("[something.else]\nx = 1").unwrap_err(),
        "FILE: there is no setting \"something\""
    );
}

#[test]
fn a_file_that_is_not_there_or_not_toml_is_refused() {
    let missing = Flags {
        config: Some("/nonexistent/x.toml".into()),
        ..Flags::default()
    };
    assert!(refused(&missing, &env(&[])).starts_with("/nonexistent/x.toml: "));
    let error = with_file("workers = ").unwrap_err();
    assert!(
        error.starts_with("FILE: TOML parse error at line 1"),
        "{error}"
    );
}

#[test]
fn misspelt_variables_are_warned_of_and_foreign_ones_are_not() {
    let env = env(&[("PARLOR_WORKER", "2"), ("PARLOR_SERVICE_HOST", "10.0.0.1")]);
    let (_, warnings) = load(&Flags::default(), &env, Settings::default()).unwrap();
    assert_eq!(
        warnings,
        ["PARLOR_WORKER is not a setting, did you mean PARLOR_WORKERS?"]
    );
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    assert_eq!(
        refused(&flags(&[("tls-cert", "a.pem")]), &env(&[])),
        "--tls-cert: it needs tls-key beside it"
    );
    assert_eq!(
        refused(
            &flags(&[("media-port", "65535"), ("workers", "2")]),
            &env(&[])
        ),
        "--media-port: 2 workers from port 65535 on would need ports above 65535"
    );
}

#[test]
fn tls_can_be_off_and_a_port_alone_is_everywhere() {
    let flags = flags(&[
        ("tls-listen", "off"),
        ("listen", "80"),
        ("listen", "127.0.0.1:81"),
    ]);
    let (settings, _) = load(&flags, &env(&[]), Settings::default()).unwrap();
    assert!(settings.tls_listen.is_empty());
    assert_eq!(
        settings.listen,
        ["[::]:80".parse().unwrap(), "127.0.0.1:81".parse().unwrap()]
    );
}

#[test]
fn a_bare_level_is_meant_for_parlor() {
    for (given, filter) in [
        ("debug", "warn,parlor=debug"),
        ("OFF", "off"),
        ("warn,parlor_core=trace", "warn,parlor_core=trace"),
    ] {
        let (settings, _) =
            load(&flags(&[("log", given)]), &env(&[]), Settings::default()).unwrap();
        assert_eq!(settings.log, filter);
    }
}

#[test]
fn state_is_kept_where_the_user_keeps_state() {
    let of = |given: &[(&str, &str)]| {
        let env = env(given);
        Settings::of_this_machine(|name| env.get(name).cloned()).state_dir
    };
    assert_eq!(
        of(&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")]),
        PathBuf::from("/s/parlor")
    );
    assert_eq!(
        of(&[("XDG_STATE_HOME", "relative"), ("HOME", "/h")]),
        PathBuf::from("/h/.local/state/parlor")
    );
    assert_eq!(of(&[]), PathBuf::from("parlor-state"));
}

#[test]
fn every_setting_is_a_flag_with_help() {
    let command = crate::cli::command();
    command.clone().debug_assert();
    let help = command.clone().render_long_help().to_string();
    for setting in SETTINGS {
        assert!(
            help.contains(&format!("--{} <{}>", setting.key, setting.value)),
            "{help}"
        );
        assert!(help.contains(setting.help), "{}", setting.key);
    }
    let given = [
        "parlor",
        "serve",
        "--listen",
        "1",
        "--listen",
        "2",
        "--workers",
        "3",
    ];
    let parse = |given: &[&str]| match crate::cli::parse(given.iter().map(Into::into)) {
        Ok(crate::cli::Asked::Serve(flags)) => flags.values,
        other => panic!("{other:?}"),
    };
    let values = parse(&given);
    assert_eq!(values["listen"], ["1", "2"]);
    assert_eq!(values["workers"], ["3"]);
    assert_eq!(parse(&["parlor", "--workers", "3"])["workers"], ["3"]);
}

#[test]
fn the_readme_has_every_setting() {
    const README: &str = include_str!("../../../README.md");
    for setting in SETTINGS {
        let Setting {
            key,
            value,
            help,
            default,
            ..
        } = setting;
        let default = match *default {
            "" => String::new(),
            default => format!("`{default}`"),
        };
        let variable = setting.variable();
        let row = format!("| `--{key} {value}` | `{variable}` | {help} | {default} |");
        assert!(README.contains(&row), "the README lacks: {row}");
    }
}
