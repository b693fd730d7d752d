"""The servers under measurement, each started from nothing on a port of its own, data in its own folder."""
import os
import shutil
import subprocess

from procs import Failed, free_port, run, tail, wait_port, with_children

KEY = "BENCHKEY00000001:bench-secret-of-sufficient-length"
BUCKET = "bench"


class Server:
    """One server: `url`, `pids()`, and what it says about itself."""
    durable = ""

    def __init__(self, bench, procs, folder):
        self.bench, self.procs, self.folder = bench, procs, folder
        self.child, self.url, self.tls_url, self.ready = None, None, None, set()
        os.makedirs(folder)

    def pids(self):
        return with_children(self.child.pid)

    def stop(self):
        self.procs.stop(self.child)
        shutil.rmtree(self.folder, ignore_errors=True)


class Domicile(Server):
    name = "domicile"
    durable = "answers when the batch is on disk (O_DSYNC); sealed with AES-256-GCM; one subject"

    def start(self):
        port, tls_port = free_port(), free_port()
        chain, key = self.bench.certificate()
        argv = [self.bench.binary("domicile"), "serve", "--dev", "--region", "in", "--data", f"{self.folder}/in",
                "--listen", f"http://127.0.0.1:{port}", "--listen", f"https://127.0.0.1:{tls_port}",
                "--tls-cert", chain, "--tls-key", key, "--key", KEY]
        self.child = self.procs.start(argv, f"{self.folder}/log")
        wait_port(port, self.child)
        self.url, self.tls_url = f"http://127.0.0.1:{port}", f"https://127.0.0.1:{tls_port}"

    def version(self):
        return run([self.bench.binary("domicile"), "version"]).splitlines()[0]


class InMemory(Domicile):
    """The same on a file system that has no disk: what the syncs cost is the difference."""
    name = "domicile on tmpfs"
    durable = "the same code; its data lies in memory, so that no sync waits for a disk"


class Null(Server):
    name = "null handler"
    durable = "our front alone: verifies signature and body, seals into memory, opens from it; stores nothing"

    def start(self):
        port = free_port()
        self.child = self.procs.start([self.bench.binary("bench/bench-null"), str(port)], f"{self.folder}/log",
                                      stdin=subprocess.PIPE, env=dict(os.environ, DOMICILE_LOAD_KEY=KEY))
        wait_port(port, self.child)
        self.url = f"http://127.0.0.1:{port}"

    def version(self):
        return "bench/null.c"


NGINX_CONF = """{user}
worker_processes {workers};
pid {d}/pid;
error_log {d}/error.log;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  sendfile on;
  keepalive_requests 100000000;
  client_max_body_size 2g;
  client_body_buffer_size 64k;
  client_body_temp_path {d}/tmp; proxy_temp_path {d}/tmp; fastcgi_temp_path {d}/tmp;
  uwsgi_temp_path {d}/tmp; scgi_temp_path {d}/tmp;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    listen 127.0.0.1:{tls_port} ssl backlog=4096;
    ssl_certificate {chain};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
    root {d}/html;
    location / {{ dav_methods PUT DELETE; create_full_put_path on; }}
  }}
}}
"""


class Nginx(Server):
    name = "nginx"
    durable = "static files, and WebDAV for PUT and DELETE: nothing is synced, signed, checked, hashed or sealed"

    def start(self):
        port, tls_port = free_port(), free_port()
        chain, key = self.bench.certificate()
        os.makedirs(f"{self.folder}/html/{BUCKET}")
        os.makedirs(f"{self.folder}/tmp")
        with open(f"{self.folder}/nginx.conf", "w", encoding="utf-8") as f:
            f.write(NGINX_CONF.format(d=self.folder, port=port, tls_port=tls_port, chain=chain, key=key, workers=os.cpu_count(),
                                      user="user root;" if os.geteuid() == 0 else ""))
        argv = ["/usr/sbin/nginx", "-c", f"{self.folder}/nginx.conf", "-p", self.folder, "-g", "daemon off;"]
        self.child = self.procs.start(argv, f"{self.folder}/log")
        wait_port(port, self.child)
        self.url, self.tls_url = f"http://127.0.0.1:{port}", f"https://127.0.0.1:{tls_port}"

    def version(self):
        done = subprocess.run(["/usr/sbin/nginx", "-v"], capture_output=True, text=True, check=True)
        return done.stderr.strip().rpartition(": ")[2]


def tmpfs_room(wanted_mib):
    """A folder in memory with that much room, or None."""
    place = "/dev/shm"
    if not os.path.isdir(place) or shutil.disk_usage(place).free < wanted_mib << 20:
        return None
    return place


def check_alive(server):
    if server.child.poll() is not None:
        raise Failed(f"{server.name} ended during the run:\n{tail(server.child.log)}")
