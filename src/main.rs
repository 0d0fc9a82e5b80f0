//! The binary: arguments, then the subcommand that they name.

fn main() -> std::process::ExitCode {
    meterd::cli::main()
}
