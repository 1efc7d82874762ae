//! The service as a whole: faults, hooks, stop and start.

use aws_sdk_s3::primitives::ByteStream;

use super::super::{Fault, How, Operation, Sim};
use super::{client, code, put, started};

#[tokio::test]
async fn each_fault_fails_the_request_it_is_meant_for() {
    let (sim, client) = started(Sim::builder()).await;
    let put = || {
        client
            .put_object()
            .bucket("test")
            .key("k")
            .body(ByteStream::from_static(b"12345"))
    };
    let get = || client.get_object().bucket("test").key("k");
    sim.fault(Fault::nth(2, How::Status(503, "SlowDown")).times(2));
    put().send().await.unwrap();
    assert_eq!(code(put().send().await), "SlowDown");
    assert_eq!(code(get().send().await), "SlowDown");
    get().send().await.unwrap();
    sim.delete("test", "k");
    sim.fault(Fault::on(Operation::PutObject, How::Reset));
    assert_eq!(code(put().send().await), "no answer");
    assert!(sim.keys("test").is_empty());
    sim.fault(Fault::on(Operation::PutObject, How::ResetAfter));
    assert_eq!(code(put().send().await), "no answer");
    assert_eq!(sim.keys("test"), ["k"]);
    sim.fault(Fault::on(Operation::GetObject, How::CutBody(3)));
    assert!(get().send().await.unwrap().body.collect().await.is_err());
    let true_etag = sim.stat("test", "k").unwrap().etag;
    let copy = || {
        client
            .copy_object()
            .bucket("test")
            .key("c")
            .copy_source("test/k")
            .send()
    };
    sim.fault(Fault::on(Operation::CopyObject, How::WrongETag));
    let copied = copy()
        .await
        .unwrap()
        .copy_object_result
        .unwrap()
        .e_tag
        .unwrap();
    assert_ne!(copied, format!("\"{true_etag}\""));
    assert_eq!(sim.stat("test", "c").unwrap().etag, true_etag);
    sim.fault(Fault::on(Operation::CopyObject, How::ErrorIn200));
    assert_eq!(code(copy().await), "InternalError");
    sim.fault(Fault::on(Operation::CopyObject, How::EmptyCopyResult));
    assert!(copy().await.unwrap().copy_object_result.is_none());
    let log = sim.requests();
    assert_eq!((log[1].status, log[4].status), (Some(503), None));
}

#[tokio::test]
async fn a_hook_may_change_objects_before_a_request_is_applied() {
    let (sim, client) = started(Sim::builder()).await;
    let etag = put(&client, "k", b"old").await;
    sim.on_request(|state, request| {
        if request.operation == Operation::GetObject {
            state.put("test", "k", b"new".to_vec());
        }
    });
    let got = client
        .get_object()
        .bucket("test")
        .key("k")
        .if_match(etag)
        .send()
        .await;
    assert_eq!(code(got), "PreconditionFailed");
}

#[tokio::test]
async fn a_stopped_service_closes_its_connections_and_starts_again_on_its_port() {
    let (sim, client) = started(Sim::builder()).await;
    put(&client, "k", b"1").await;
    sim.fault(Fault::on(Operation::GetObject, How::Stall));
    let stalled = tokio::spawn(client.get_object().bucket("test").key("k").send());
    while sim.counters().of(Operation::GetObject).requests == 0 {
        tokio::task::yield_now().await;
    }
    sim.stop();
    assert_eq!(code(stalled.await.unwrap()), "no answer");
    assert_eq!(
        code(client.get_object().bucket("test").key("k").send().await),
        "no answer"
    );
    let again = Sim::serve(sim.state(), &sim.address().to_string())
        .await
        .unwrap();
    client
        .get_object()
        .bucket("test")
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(again.keys("test"), ["k"]);
}

#[tokio::test]
async fn a_kept_service_takes_up_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let start = || {
        Sim::builder()
            .bucket("test")
            .versioned("kept")
            .dir(dir.path())
            .start("127.0.0.1:0")
    };
    let sim = start().await.unwrap();
    let client = client(&sim);
    put(&client, "gone", b"xyz").await;
    sim.put_pattern("test", "big", 1 << 40, 9);
    let request = client
        .put_object()
        .bucket("test")
        .key("k")
        .metadata("m", "1")
        .content_type("t/x");
    request
        .body(ByteStream::from_static(b"hello"))
        .send()
        .await
        .unwrap();
    client
        .copy_object()
        .bucket("test")
        .key("c")
        .copy_source("test/k")
        .send()
        .await
        .unwrap();
    sim.delete("test", "gone");
    sim.put("kept", "v", b"1".to_vec());
    sim.delete("kept", "v");
    let before = sim.stat("test", "k");
    drop((sim, client));
    for _ in 0..2 {
        let sim = start().await.unwrap();
        assert_eq!(sim.keys("test"), ["big", "c", "k"]);
        assert_eq!(sim.stat("test", "k"), before);
        assert_eq!(sim.content("test", "c").unwrap(), b"hello");
        assert!(sim.keys("kept").is_empty());
        assert_eq!(
            std::fs::read_dir(dir.path().join("blobs")).unwrap().count(),
            2
        );
    }
}
