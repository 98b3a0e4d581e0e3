//! `dogwatch sign-in`: a link with which a browser of this machine signs in, as long as there are no keys.

use std::process::ExitCode;

use anyhow::Context;
use serde::Deserialize;
use url::Url;

use super::remote::Remote;
use super::running::Running;
use super::{Global, output};

#[derive(Deserialize)]
struct Code {
    code: String,
}

/// Prints a link.
pub(super) async fn run(global: &Global) -> anyhow::Result<ExitCode> {
    let url = if let Some(url) = &global.url {
        url.clone()
    } else {
        let url = match Running::read(&global.data_dir) {
            Some(running) => running.api_url,
            None => format!("http://{}", global.client_settings()?.api.listen),
        };
        url.parse::<Url>().context("the address of the API is none")?
    };
    let remote = Remote::new(&url, global.key_for(&url))?;
    let Code { code } = remote.post(&["session", "codes"], &()).await?;
    output::line(&link(url.as_str(), &code));
    output::note("It signs a browser in once.");
    Ok(ExitCode::SUCCESS)
}

/// The address of the dashboard, which reads the code; what stands behind `#` is sent to no server, and logged by none.
pub(super) fn link(api_url: &str, code: &str) -> String {
    format!("{}/sign-in#code={code}", api_url.trim_end_matches('/'))
}
