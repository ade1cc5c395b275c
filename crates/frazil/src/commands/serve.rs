//! `frazil serve`.

use std::io::Write;

use frazil_engine::{Engine, EngineSettings};
use frazil_server::ServerSettings;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Serve;
use crate::commands::{CommandError, io};

pub async fn run(arguments: Serve) -> Result<(), CommandError> {
    if !arguments.listen.ip().is_loopback() {
        if !arguments.insecure_listen {
            return Err(CommandError::Message(format!(
                "{} can be reached from other machines, and connections are not encrypted. Listen \
                 on 127.0.0.1, or add --insecure-listen if the network is trusted.",
                arguments.listen
            )));
        }
        eprintln!(
            "warning: listening on {} without encryption: passwords and data can be read on the \
             network",
            arguments.listen
        );
    }
    let mut settings = EngineSettings::new(&arguments.data_dir);
    settings.memory_limit = arguments.memory_limit;
    settings.threads = arguments.threads;
    settings.region = arguments.region;
    settings.organization = arguments.organization;
    settings.bootstrap_user = arguments.bootstrap_user;
    settings.bootstrap_password =
        std::env::var("FRAZIL_BOOTSTRAP_PASSWORD").ok().filter(|password| !password.is_empty());
    let (engine, generated) = Engine::open(settings).await?;
    if let Some(generated) = generated {
        println!("user {} has the password {} (shown once)", generated.user, generated.password);
    }
    let listener = TcpListener::bind(arguments.listen)
        .await
        .map_err(io(format!("cannot listen on {}", arguments.listen)))?;
    let address = listener.local_addr().map_err(io("cannot read the listening address"))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(io("cannot wait for SIGTERM"))?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    println!("listening on http://{address}");
    std::io::stdout().flush().map_err(io("cannot write to standard output"))?;
    frazil_server::serve(engine.clone(), listener, ServerSettings::default(), stop).await?;
    engine.shutdown().await;
    Ok(())
}
