//! More sign-ins than the machine can hash (R40, T27).

use crate::http_client::Call;
use crate::person::{PASSWORD, login};
use crate::world::World;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[expect(clippy::disallowed_methods, reason = "a test measures real time")]
fn now() -> Instant {
    Instant::now()
}

/// Most memory that this process has held so far, and what it holds, in KiB.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    let number = |text: String| text.trim_end_matches(" kB").trim().parse().unwrap();
    (number(line("VmHWM:")), number(line("VmRSS:")))
}

#[tokio::test(flavor = "multi_thread")]
async fn r40_five_hundred_sign_ins_whose_callers_hang_up_take_bounded_room_and_time() {
    let world = World::with(vec!["127.0.0.1/32".parse().unwrap()]).await;
    // One network and one account each, so that no limit but the pool's is met.
    let guess = |number: u32| {
        let address = format!("10.0.{}.{}", number / 256, number % 256);
        login(&format!("a{number}@shop.example"), PASSWORD).header("x-forwarded-for", &address)
    };
    let before = memory().1;
    let held = futures_util::future::join_all((0..250).map(|number| hang_up(&world, guess(number)))).await;
    let began = now();
    let calls: Vec<Call> = (250..500).map(guess).collect();
    let answers = futures_util::future::join_all(calls.iter().map(|call| call.send(world.address))).await;
    let took = began.elapsed();
    let mut counts = (0, 0);
    for answer in &answers {
        match answer.status {
            401 => counts.0 += 1,
            _ => {
                answer.assert_refused("overloaded");
                assert_eq!(answer.header("retry-after"), Some("1"));
                counts.1 += 1;
            }
        }
    }
    println!("{} hung up, {} were checked, {} sent away, in {took:?}", held.len(), counts.0, counts.1);
    assert!(counts.1 > 100, "the excess is sent away: {counts:?}");
    assert!(took < Duration::from_secs(6), "nobody waits longer than 2 s for a worker: {took:?}");
    // Whatever else runs in this process at that time is in here too; unbounded, this would be 500 × 19 MiB.
    let grown = memory().0.saturating_sub(before);
    assert!(grown < 600 * 1024, "{grown} KiB");
    // And it is over when it is over.
    let after = guess(600).send(world.address).await;
    after.assert_refused("invalid_credentials");
}

/// Sends the call, and hangs up after 50 ms.
async fn hang_up(world: &World, call: Call) {
    let body = String::from_utf8(call.body).unwrap();
    let mut text = format!("POST {} HTTP/1.1\r\nhost: {}\r\n", call.path, world.address);
    for (name, value) in &call.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
}
