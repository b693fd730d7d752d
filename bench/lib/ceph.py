"""radosgw over a small Ceph: one monitor, one OSD, one gateway, all on loopback, without systemd.

Debian's packages ceph-mon, ceph-osd and radosgw. No manager: nothing that is measured asks one. Replication is
off (there is one disk). The gateway needs cephx, and TCP_NODELAY, which beast leaves off."""
import os
import subprocess
import time
import uuid

from procs import Failed, free_port, run, tail, wait_port
from servers import KEY, Server

CONF = """[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{mon_port}]
mon_initial_members = m
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_msgr1 = false
ms_bind_ipv6 = false
ms_bind_port_min = 20000
ms_bind_port_max = 29999
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
auth_allow_insecure_global_id_reclaim = false
keyring = {d}/keyring
run_dir = {d}
crash_dir = {d}
log_file = {d}/$name.log
pid_file = {d}/$name.pid
admin_socket = {d}/$name.$pid.asok
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 16
osd_pool_default_pgp_num = 16
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
mon_max_pg_per_osd = 2000
[client]
admin_socket =
log_file =
[mon]
mon_data = {d}/mon
mon_data_avail_warn = 2
mon_data_avail_crit = 1
mon_cluster_log_file = {d}/cluster.log
[osd]
osd_data = {d}/osd
osd_objectstore = {store}
osd_memory_target = {memory}
memstore_device_bytes = {room}
bluestore_block_size = {room}
bluestore_block_create = true
osd_max_object_name_len = 2048
crush_location = root=default host=localhost
osd_class_update_on_start = false
"""


class Radosgw(Server):
    name = "radosgw"

    def __init__(self, bench, procs, folder):
        super().__init__(bench, procs, folder)
        self.store = bench.options.ceph_store
        self.env = dict(os.environ, CEPH_CONF=f"{folder}/ceph.conf")
        self.daemons = []
        self.durable = {
            "bluestore": "OSD on BlueStore over a sparse file: answers when its log is synced; one copy, not sealed",
            "memstore": "OSD on memstore: keeps everything in memory, nothing is durable or sealed"}[self.store]

    def pids(self):
        return [d.pid for d in self.daemons]

    def _tool(self, *argv, timeout=60):
        return run(list(argv), timeout=timeout, env=self.env)

    def _daemon(self, name, *argv):
        child = self.procs.start([*argv, "-f"], f"{self.folder}/{name}.out", env=self.env)
        self.daemons.append(child)
        return child

    def _configure(self):
        d, fsid, port = self.folder, str(uuid.uuid4()), free_port()
        for name in ("mon", "osd", "rgw"):
            os.makedirs(f"{d}/{name}")
        memory = self.bench.options.ceph_memory_mib << 20
        with open(f"{d}/ceph.conf", "w", encoding="utf-8") as f:
            f.write(CONF.format(d=d, fsid=fsid, mon_port=port, store=self.store, memory=memory,
                                room=self.bench.options.ceph_gib << 30))
        self._tool("ceph-authtool", "--create-keyring", f"{d}/keyring", "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        self._tool("ceph-authtool", f"{d}/keyring", "--gen-key", "-n", "client.admin",
                   "--cap", "mon", "allow *", "--cap", "osd", "allow *", "--cap", "mgr", "allow *")
        self._tool("ceph-authtool", f"{d}/keyring", "--gen-key", "-n", "osd.0",
                   "--cap", "mon", "allow profile osd", "--cap", "osd", "allow *")
        self._tool("monmaptool", "--create", "--addv", "m", f"[v2:127.0.0.1:{port}]", "--fsid", fsid, f"{d}/monmap")
        self._tool("ceph-mon", "--mkfs", "-i", "m", "--monmap", f"{d}/monmap", "--keyring", f"{d}/keyring")

    def _gateway(self):
        port, tls_port = free_port(), free_port()
        chain, key = self.bench.certificate()
        access, secret = KEY.split(":")
        self._tool("radosgw-admin", "user", "create", "--uid=bench", "--display-name=bench",
                   f"--access-key={access}", f"--secret-key={secret}", timeout=180)
        self.child = self._daemon("rgw", "radosgw", "-n", "client.admin", f"--rgw_data={self.folder}/rgw",
                                  f"--rgw_frontends=beast endpoint=127.0.0.1:{port} tcp_nodelay=1 "
                                  f"ssl_endpoint=127.0.0.1:{tls_port} ssl_certificate={chain} ssl_private_key={key}",
                                  "--debug_rgw=0/0", f"--log_file={self.folder}/rgw.log",
                                  f"--pid_file={self.folder}/rgw.pid", f"--admin_socket={self.folder}/rgw.asok")
        wait_port(port, self.child, 120)
        self.url, self.tls_url = f"http://127.0.0.1:{port}", f"https://127.0.0.1:{tls_port}"

    def start(self):
        self._configure()
        self.child = self._daemon("mon", "ceph-mon", "-i", "m")
        osd = str(uuid.uuid4())
        self._tool("ceph", "--connect-timeout", "30", "osd", "new", osd)  # answers once the monitor has a quorum
        self._tool("ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", osd, timeout=180)
        self.child = self._daemon("osd", "ceph-osd", "-i", "0")
        self._await_osd()
        self._gateway()

    def _await_osd(self):
        end = time.monotonic() + 120
        while " 1 up" not in self._tool("ceph", "--connect-timeout", "30", "osd", "stat"):
            if self.child.poll() is not None or time.monotonic() > end:
                raise Failed(f"the OSD does not come up:\n{tail(self.child.log)}")
            time.sleep(0.2)

    def stop(self):
        for daemon in reversed(self.daemons):  # the gateway first
            self.procs.stop(daemon)
        super().stop()

    def version(self):
        text = subprocess.run(["radosgw", "--version"], capture_output=True, text=True, check=True).stdout
        return "radosgw " + text.split()[2] + ", " + self.store
