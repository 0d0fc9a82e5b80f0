//! A disk that fails, as the process of a daemon sees it: `shim.c`, which is built where a C compiler is found.
#![allow(dead_code, reason = "each test uses its part of it")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests fail loudly")]

use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = include_str!("shim.c");

/// The library that is loaded before all others.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    library: PathBuf,
}

/// What the library counted; it stays when the process is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Calls {
    /// Writes, syncs and truncations of files of the directory.
    pub(crate) all: u64,
    pub(crate) syncs: u64,
    /// Calls that were made to fail.
    pub(crate) failed: u64,
    /// 1 if the library ended the process.
    pub(crate) killed: u64,
}

impl Disk {
    /// Builds it in `folder`; `None`, and a line that says so, where there is no `cc`. With `CI=true` its absence is a
    /// failure.
    pub(crate) fn build(folder: &Path) -> Option<Self> {
        let (source, library) = (folder.join("shim.c"), folder.join("shim.so"));
        std::fs::write(&source, SOURCE).unwrap();
        let built = Command::new("cc")
            .args(["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .args(["-ldl", "-lpthread"])
            .output();
        match built {
            Ok(built) if built.status.success() => Some(Self { library }),
            Ok(built) => panic!("cc does not build the shim: {}", String::from_utf8_lossy(&built.stderr)),
            Err(e) => {
                let must = std::env::var("CI").as_deref() == Ok("true");
                assert!(!must, "a C compiler must be installed for this test: {e}");
                eprintln!("left out: there is no C compiler: {e}");
                None
            }
        }
    }

    /// Has `command` write to `dir` through it. `plan` as in shim.c; `counts` is made anew.
    pub(crate) fn load(&self, command: &mut Command, dir: &Path, counts: &Path, plan: &str) {
        let _ = std::fs::remove_file(counts);
        command
            .env("LD_PRELOAD", &self.library)
            .env("DISK_DIR", dir)
            .env("DISK_COUNTS", counts)
            .env("DISK_PLAN", plan);
    }
}

impl Calls {
    /// What stands in the file of counts now.
    pub(crate) fn read(counts: &Path) -> Self {
        let octets = std::fs::read(counts).unwrap_or_default();
        let mut numbers = octets.chunks_exact(8).map(|one| u64::from_ne_bytes(one.try_into().unwrap()));
        let mut next = || numbers.next().unwrap_or_default();
        Self { all: next(), syncs: next(), failed: next(), killed: next() }
    }
}
