//! The command line: words only, no work.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use frazil_engine::Limits;

/// An ML warehouse in one binary: load, govern, transform, train, serve and watch, where the data
/// lives.
#[derive(Debug, Parser)]
#[command(name = "frazil", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve clients over HTTP until SIGTERM or Ctrl-C.
    Serve(Serve),
    /// Run SQL on a data directory, or against a server.
    Sql(Sql),
    /// The whole job on real data, step by step, with a report.
    Quickstart(Quickstart),
    /// Check a data directory: catalog, files, leftovers.
    Doctor(Doctor),
    /// Do all upkeep of a data directory now: small files are merged, old snapshots removed.
    Maintain(Maintain),
    /// Copy a data directory's present state, also while a server uses it.
    Backup(Backup),
    /// Make a data directory from a backup.
    Restore(Restore),
}

#[derive(Debug, Args)]
pub struct Serve {
    /// Folder that holds everything; made where absent.
    #[arg(long, env = "FRAZIL_DATA_DIR")]
    pub data_dir: PathBuf,
    /// Address to listen on; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:8765")]
    pub listen: SocketAddr,
    /// Name of the administrator made at first start. Its password comes from
    /// FRAZIL_BOOTSTRAP_PASSWORD, or is generated and printed once.
    #[arg(long, default_value = "admin", value_parser = parse_user)]
    pub bootstrap_user: String,
    /// Memory all statements may use together, such as 4GiB or 512MB.
    #[arg(long, value_parser = parse_memory)]
    pub memory_limit: Option<usize>,
    /// Threads for queries and training; all cores if not given.
    #[arg(long, value_parser = parse_threads)]
    pub threads: Option<usize>,
    #[command(flatten)]
    pub limits: LimitArguments,
    /// Name that CURRENT_REGION() answers.
    #[arg(long, env = "FRAZIL_REGION")]
    pub region: Option<String>,
    /// Name that CURRENT_ORGANIZATION_NAME() answers.
    #[arg(long, env = "FRAZIL_ORGANIZATION")]
    pub organization: Option<String>,
    /// Certificate chain for HTTPS, PEM, the server's own first.
    #[arg(long, requires = "tls_key", conflicts_with = "tls_generate")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of --tls-cert, PEM.
    #[arg(long, requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// HTTPS with a certificate made at first start and kept in the data directory; clients
    /// trust it through DATA_DIR/tls/ca.pem.
    #[arg(long)]
    pub tls_generate: bool,
    /// Allow an address beyond this machine although connections are not encrypted.
    #[arg(long)]
    pub insecure_listen: bool,
    /// Base of the URLs that clients get for results and files, such as
    /// https://warehouse.example, where it differs from the host they connect to.
    #[arg(long, value_parser = parse_url)]
    pub external_url: Option<String>,
    /// Form of the log on standard error; FRAZIL_LOG sets what is logged.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// What all users together may take of a server.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArguments {
    /// Bytes that statements may spill to disk together; 100GiB if not given.
    #[arg(long, value_parser = parse_bytes)]
    pub spill_limit: Option<usize>,
    /// Bytes of one statement's result; 16GiB if not given.
    #[arg(long, value_parser = parse_bytes)]
    pub result_limit: Option<usize>,
    /// Bytes on disk of all results that are kept to be read again; 100GiB if not given.
    #[arg(long, value_parser = parse_bytes)]
    pub kept_results_limit: Option<usize>,
    /// Bytes of one file put on a stage; 16GiB if not given.
    #[arg(long, value_parser = parse_bytes)]
    pub upload_limit: Option<usize>,
    /// Sessions that a user may have open; 1000 if not given.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub sessions_per_user: Option<u64>,
    /// Statements without a warehouse that compute at the same time; 32 if not given.
    #[arg(long, value_parser = parse_concurrency)]
    pub concurrency: Option<usize>,
    /// Statements that may wait for their turn; 1000 if not given.
    #[arg(long, value_parser = parse_queue_length)]
    pub queue_length: Option<usize>,
    /// Refuse statements that read or write rows in a session without a warehouse.
    #[arg(long)]
    pub require_warehouse: bool,
}

impl LimitArguments {
    /// The limits, with defaults for those not given.
    pub fn limits(&self) -> Limits {
        let default = Limits::default();
        let bytes = |given: Option<usize>, default| given.map_or(default, |bytes| bytes as u64);
        Limits {
            spill_bytes: bytes(self.spill_limit, default.spill_bytes),
            result_bytes: bytes(self.result_limit, default.result_bytes),
            kept_result_bytes: bytes(self.kept_results_limit, default.kept_result_bytes),
            upload_bytes: bytes(self.upload_limit, default.upload_bytes),
            sessions_per_user: self.sessions_per_user.unwrap_or(default.sessions_per_user),
            concurrency: self.concurrency.unwrap_or(default.concurrency),
            queue_length: self.queue_length.unwrap_or(default.queue_length),
            require_warehouse: self.require_warehouse,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Json,
    Csv,
}

#[derive(Debug, Args)]
pub struct Sql {
    /// Data directory to open, as its administrator.
    #[arg(long, conflicts_with = "connect", required_unless_present = "connect")]
    pub data_dir: Option<PathBuf>,
    /// Server to connect to, such as http://127.0.0.1:8765.
    #[arg(long)]
    pub connect: Option<String>,
    /// Certificate authority to trust at the server, PEM, instead of the public ones.
    #[arg(long, requires = "connect")]
    pub tls_ca: Option<PathBuf>,
    /// User at the server; the password comes from FRAZIL_PASSWORD.
    #[arg(long, default_value = "admin", requires = "connect")]
    pub user: String,
    /// Statements to run.
    #[arg(short = 'c', long = "command", conflicts_with = "file")]
    pub text: Option<String>,
    /// File of statements to run; `-` for standard input.
    #[arg(short = 'f', long = "file")]
    pub file: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    #[arg(long)]
    pub database: Option<String>,
    #[arg(long)]
    pub schema: Option<String>,
    #[arg(long)]
    pub role: Option<String>,
    /// Memory all statements may use together, such as 4GiB or 512MB.
    #[arg(long, value_parser = parse_memory, conflicts_with = "connect")]
    pub memory_limit: Option<usize>,
    /// Threads for queries and training; all cores if not given.
    #[arg(long, value_parser = parse_threads, conflicts_with = "connect")]
    pub threads: Option<usize>,
}

#[derive(Debug, Args)]
pub struct Quickstart {
    /// Folder to work in; a new temporary one if not given.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
    /// Where the HTML report goes.
    #[arg(long, default_value = "frazil-quickstart.html")]
    pub report: PathBuf,
    /// Folder with the two input files.
    #[arg(long, default_value = "examples/data")]
    pub input: PathBuf,
}

#[derive(Debug, Args)]
pub struct Doctor {
    #[arg(long, env = "FRAZIL_DATA_DIR")]
    pub data_dir: PathBuf,
    /// Move files that nothing names into quarantine, put those back that are missed, and write a
    /// lost file 'format' anew; no server may be running on the folder.
    #[arg(long)]
    pub repair: bool,
    /// With --repair: remove what earlier repairs moved into quarantine.
    #[arg(long, requires = "repair")]
    pub purge_quarantine: bool,
}

#[derive(Debug, Args)]
pub struct Maintain {
    /// Folder that no server is running on; a running one does its upkeep by itself.
    #[arg(long, env = "FRAZIL_DATA_DIR")]
    pub data_dir: PathBuf,
}

#[derive(Debug, Args)]
pub struct Backup {
    /// Data directory to back up.
    #[arg(long, env = "FRAZIL_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Folder of the backups; files that earlier ones have are not copied again.
    #[arg(long)]
    pub to: PathBuf,
    /// Show the backups in the folder and take none.
    #[arg(long)]
    pub list: bool,
}

#[derive(Debug, Args)]
pub struct Restore {
    /// Folder of the backups.
    #[arg(long)]
    pub from: PathBuf,
    /// Name of the backup, as `frazil backup --list` shows it; the newest if not given.
    #[arg(long)]
    pub backup: Option<String>,
    /// Data directory to make; must not exist, or be empty.
    #[arg(long)]
    pub data_dir: PathBuf,
}

/// A number of bytes with an optional unit.
fn parse_bytes(text: &str) -> Result<usize, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().map_err(|_| format!("'{text}' is not a size"))?;
    let factor: f64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "k" | "kib" => 1024.0,
        "m" | "mib" => 1024.0 * 1024.0,
        "g" | "gib" => 1024.0 * 1024.0 * 1024.0,
        other => return Err(format!("'{other}' is not a unit of size (KiB, MiB, GiB, MB, GB)")),
    };
    let bytes = number * factor;
    if bytes > MAX_BYTES as f64 {
        return Err(format!("'{text}' is more than {} PiB", MAX_BYTES >> 50));
    }
    Ok(bytes as usize)
}

/// Largest size that can be given: more than any machine has.
const MAX_BYTES: usize = 1 << 60;
/// With less memory than this not even small statements run.
const MIN_MEMORY: usize = 64_000_000;

fn parse_memory(text: &str) -> Result<usize, String> {
    match parse_bytes(text)? {
        bytes if bytes < MIN_MEMORY => Err("statements need at least 64 MB".to_string()),
        bytes => Ok(bytes),
    }
}

fn parse_count(text: &str, least: usize, most: usize) -> Result<usize, String> {
    text.trim()
        .parse()
        .ok()
        .filter(|count| (least..=most).contains(count))
        .ok_or_else(|| format!("a whole number from {least} to {most} is expected"))
}

fn parse_threads(text: &str) -> Result<usize, String> {
    parse_count(text, 1, 1024)
}

fn parse_concurrency(text: &str) -> Result<usize, String> {
    parse_count(text, 1, 100_000)
}

fn parse_queue_length(text: &str) -> Result<usize, String> {
    parse_count(text, 0, 10_000_000)
}

fn parse_user(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("the administrator needs a name".to_string()),
        _ => Ok(text.to_string()),
    }
}

fn parse_url(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"?#\"<>".contains(c);
    match host {
        Some(host)
            if !host.is_empty() && !host.starts_with(['/', ':']) && host.chars().all(plain) =>
        {
            Ok(text.to_string())
        }
        _ => Err("a URL such as https://warehouse.example is expected".to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_bytes("512MB").unwrap(), 512_000_000);
        assert_eq!(parse_bytes("1.5GiB").unwrap(), 1_610_612_736);
        assert!(parse_bytes("4 parsecs").is_err());
    }

    fn serve(options: &[&str]) -> Result<Serve, String> {
        let words = ["frazil", "serve", "--data-dir", "d"].iter().chain(options);
        match Cli::try_parse_from(words) {
            Ok(Cli { command: Command::Serve(serve) }) => Ok(serve),
            Ok(_) => Err("another command".to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn values_that_cannot_work_are_refused() {
        for (option, value, expected) in [
            ("--threads", "0", "from 1 to 1024"),
            ("--threads", "20000", "from 1 to 1024"),
            ("--concurrency", "0", "from 1 to 100000"),
            ("--concurrency", "18446744073709551615", "from 1 to 100000"),
            ("--queue-length", "18446744073709551615", "from 0 to"),
            ("--sessions-per-user", "0", "not in 1.."),
            ("--memory-limit", "0", "at least 64 MB"),
            ("--memory-limit", "1KB", "at least 64 MB"),
            ("--memory-limit", "99999999999999999999GB", "more than"),
            ("--bootstrap-user", "", "needs a name"),
            ("--external-url", "notaurl", "https://warehouse.example"),
            ("--external-url", "https://", "https://warehouse.example"),
        ] {
            let error = serve(&[option, value]).unwrap_err();
            assert!(error.contains(expected), "{option} {value}: {error}");
        }
        let serve = serve(&[
            "--threads",
            "4",
            "--memory-limit",
            "64MiB",
            "--concurrency",
            "1",
            "--queue-length",
            "0",
            "--sessions-per-user",
            "1",
            "--external-url",
            "https://warehouse.example:8443/frazil",
        ]);
        assert_eq!(serve.unwrap().memory_limit, Some(64 << 20));
    }
}
