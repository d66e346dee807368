//! Owns the HTTP connector that all clients share: the connections, and the certificates that verify them.
//!
//! By default every client of the SDK reads the certificates when it is built and again at its first call: twelve times
//! for six clients. Figures: `docs/performance.md`.

use std::time::Duration;

use aws_smithy_http_client::{
    ConnectorBuilder,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::{
    HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};

/// The longest time to establish a connection.
const CONNECT_TIME: Duration = Duration::from_secs(2);

/// The SDK's own connector, built once, at the start, when Lambda gives a function a whole processor.
pub(super) fn one_for_all() -> SharedHttpClient {
    let mut builder = ConnectorBuilder::default().tls_provider(Provider::Rustls(CryptoMode::Ring));
    builder.set_connector_settings(Some(HttpConnectorSettings::builder().connect_timeout(CONNECT_TIME).build()));
    builder.set_proxy_config(Some(ProxyConfig::from_env()));
    let connector = SharedHttpConnector::new(builder.build());
    http_client_fn(move |_settings, _components| connector.clone())
}
