#![no_main]

libfuzzer_sys::fuzz_target!(
    init: parlor_fuzz::targets::share_calls(),
    |bytes: &[u8]| parlor_fuzz::targets::run("media", bytes)
);
