//! Owns the one way to AWS that all clients share: its connections, and the certificates they are checked by.
//!
//! Left to itself every client of the SDK reads the certificates when it is built and once more at its first call: six
//! clients make twelve of that. Figures: `docs/performance.md`.

use std::time::Duration;

use aws_smithy_http_client::{
    ConnectorBuilder,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::{
    HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};

/// A connection that is not there after this is given up.
const CONNECT_TIME: Duration = Duration::from_secs(2);

/// The SDK's own connector, built once and while Lambda lends a starting function a whole processor.
pub(super) fn one_for_all() -> SharedHttpClient {
    let mut builder = ConnectorBuilder::default().tls_provider(Provider::Rustls(CryptoMode::Ring));
    builder.set_connector_settings(Some(HttpConnectorSettings::builder().connect_timeout(CONNECT_TIME).build()));
    builder.set_proxy_config(Some(ProxyConfig::from_env()));
    let connector = SharedHttpConnector::new(builder.build());
    http_client_fn(move |_settings, _components| connector.clone())
}
