//! A file system on an nbd volume survives a power-off of its node: what the programs of QEMU, the loop device and the test
//! bed make of the order of writes, without anything of OpenManage.

#![allow(clippy::disallowed_methods, reason = "tests run in real time, outside every port")]

use std::time::Duration;

use om_tests::testbed::{Host, Hosts, Process};
use om_tests::eventually;

/// Runs a shell script in a host.
#[track_caller]
fn sh(host: &Host, script: &str) -> String {
    host.run(&["bash", "-euc", script]).unwrap_or_else(|error| panic!("{}: {error}", host.name))
}

const IMAGE: &str = "/pool/v/disk.img";

/// An export of an epoch, as the nbd provider starts it but for its key.
fn export(storage: &Host, epoch: u32) -> Process {
    let name = format!("--export-name=v.e{epoch}");
    let port = format!("--port={}", 10810 + epoch);
    let bind = format!("--bind={}", storage.address);
    let words = ["qemu-nbd", "--persistent", "--shared=1", "--format=raw", "--cache=writeback", "--discard=unmap"];
    storage.spawn("qemu-nbd", &[&words[..], &[&name, &port, &bind, IMAGE]].concat())
}

/// The node's end of it, and a mount at `/v`.
fn attach(node: &Host, storage: &Host, epoch: u32) {
    let disk = format!(
        "--blockdev=driver=nbd,node-name=disk,server.type=inet,server.host={},server.port={},server.keep-alive=on,\
         export=v.e{epoch},discard=unmap,reconnect-delay=86400",
        storage.address,
        10810 + epoch
    );
    let daemon = format!(
        "mkdir -p /d /v; touch /d/e{epoch}; qemu-storage-daemon --daemonize {disk} \
         --export=type=fuse,id=file,node-name=disk,writable=on,mountpoint=/d/e{epoch}"
    );
    eventually(Duration::from_secs(5), "the export is there", || node.run(&["bash", "-euc", &daemon]));
}

fn mount(node: &Host, epoch: u32) {
    let script = format!(
        "device=$(losetup --find --show --direct-io=on /d/e{epoch}); \
         mount -o nosuid,nodev,noatime,errors=remount-ro $device /v; losetup --detach $device"
    );
    sh(node, &script);
}

/// Makes, renames, removes and flushes files without end.
const WRITER: &str = "i=0; cd /v; while :; do i=$((i+1)); mkdir -p d$((i%7))/e$i; \
                      dd if=/dev/urandom of=d$((i%7))/e$i/f bs=8k count=$((1+i%40)) conv=fsync status=none; \
                      mv d$((i%7))/e$i d$(((i+3)%7))-$i; [ $i -lt 30 ] || rm -rf d*-$((i-20)); echo $i; done";

#[test]
fn what_a_node_that_lost_its_power_leaves_is_sound() {
    let rounds: u32 = std::env::var("ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(3);
    let hosts = Hosts::start(2);
    let storage = &hosts.storage;
    sh(storage, &format!("mkdir /pool/v; truncate -s 1G {IMAGE}"));
    for round in 0..rounds {
        let node = &hosts.nodes[(round % 2) as usize];
        let mut exported = export(storage, round);
        attach(node, storage, round);
        if round == 0 {
            sh(node, "mkfs.ext4 -q -F -b 4096 -m 1 -E nodiscard /d/e0");
        } else {
            let checked = node.run(&["bash", "-c", &format!("cp --sparse=always /d/e{round} /tmp/before.img; e2fsck -p /d/e{round}; c=$?; echo code $c; if [ $c -gt 3 ]; then dumpe2fs -h /tmp/before.img | grep -i -E 'state|error|journal'; e2fsck -fn /tmp/before.img; e2fsck -fy -E journal_only /tmp/before.img; e2fsck -fn /tmp/before.img; fi 2>&1")]);
            println!("round {round}: {checked:?}");
            assert!(!checked.unwrap_or_default().contains("code 4"));
        }
        mount(node, round);
        let mut writers: Vec<_> = (0..3)
            .map(|n| {
                let script = format!("mkdir -p /v/w{n}; {}", WRITER.replace("cd /v", &format!("cd /v/w{n}")));
                node.spawn("writer", &["bash", "-c", &script])
            })
            .collect();
        std::thread::sleep(Duration::from_secs(5));
        for writer in &mut writers {
            assert!(writer.runs());
        }
        println!("{}", sh(node, "df /v | tail -1; ls /v/w0 | wc -l"));
        node.power_off();
        drop(writers);
        exported.kill();
        node.power_on();
    }
}
