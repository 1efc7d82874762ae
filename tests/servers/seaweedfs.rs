//! SeaweedFS: master, volume server, filer and S3 in one process.

use super::processes::{Processes, free_ports, installed};
use super::{ACCESS_KEY, SECRET_KEY};

/// Starts it; returns the port of its S3.
pub fn start(processes: &mut Processes) -> u16 {
    let config = format!(
        r#"{{"identities": [{{"name": "tests", "actions": ["Admin"],
        "credentials": [{{"accessKey": "{ACCESS_KEY}", "secretKey": "{SECRET_KEY}"}}]}}]}}"#
    );
    let dir = processes.dir().to_owned();
    std::fs::write(dir.join("s3.json"), config).unwrap();
    let ports = free_ports::<8>();
    let names = ["master", "volume", "filer", "s3"];
    let ports_of = names.iter().zip(ports.chunks(2)).flat_map(|(name, pair)| {
        [
            format!("-{name}.port={}", pair[0]),
            format!("-{name}.port.grpc={}", pair[1]),
        ]
    });
    let mut weed = installed("weed");
    weed.arg("server")
        .arg(format!("-dir={}", dir.display()))
        .arg(format!("-s3.config={}", dir.join("s3.json").display()))
        .args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"])
        .args(["-volume.max=0", "-master.volumeSizeLimitMB=1024"])
        .args(["-master.telemetry=false", "-s3.port.iceberg=0"])
        .args(["-s3.port.lance=0", "-s3.allowDeleteBucketNotEmpty=false"])
        .args(ports_of);
    processes.spawn(&mut weed);
    ports[6]
}
