//! Tells machines of one version number apart: those of the same sources answer the same bytes.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// The libraries below the machine whose work is on the wire.
const BELOW: [&str; 7] = [
    "str0m",
    "str0m-proto",
    "is",
    "dimpl",
    "chacha20",
    "fastrand",
    "p256",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let sources = root.join("core/src");
    let locked = root.join("Cargo.lock");
    // What is compared is made here.
    let compared = ["src/digest.rs", "src/recorder.rs"].map(PathBuf::from);
    let mut files = compared.to_vec();
    for path in compared.iter().chain([&sources, &locked]) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    collect(&sources, &mut files)?;
    files.sort();
    let mut hash = Fnv::default();
    for file in files {
        hash.add(&fs::read(file)?);
    }
    let locked = fs::read_to_string(locked)?;
    for package in locked.split("[[package]]") {
        let name = |name| package.contains(&format!("\nname = \"{name}\"\n"));
        if BELOW.into_iter().any(name) {
            hash.add(package.as_bytes());
        }
    }
    println!("cargo::rustc-env=PARLOR_MACHINE={:016x}", hash.0);
    Ok(())
}

/// Tests are no part of the machine.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|ending| ending == "rs")
            && path.file_name().is_some_and(|name| name != "tests.rs")
        {
            files.push(path);
        }
    }
    Ok(())
}

/// FNV-1a: no dependency for one number.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().chain(&[0]) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
