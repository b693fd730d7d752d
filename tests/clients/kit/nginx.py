"""nginx as Debian has it, started over unix sockets, with a recorder behind its proxy."""
import os
import re
import socket
import socketserver
import subprocess
import threading

from . import daemon, env

CONFIG = """
daemon off;
worker_processes 1;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  # As much as Domicile takes, so that only the form is compared; and an end to what never becomes whole.
  client_max_body_size 0;
  large_client_header_buffers 8 32k;
  client_header_timeout 2s;
  client_body_timeout 2s;
  keepalive_timeout 2s;
  client_body_temp_path {folder}/tmp; proxy_temp_path {folder}/tmp; fastcgi_temp_path {folder}/tmp;
  uwsgi_temp_path {folder}/tmp; scgi_temp_path {folder}/tmp;
  server {{ listen unix:{folder}/static.sock; root {folder}/html; location / {{ }} }}
  server {{ listen unix:{folder}/proxy.sock; location / {{ proxy_pass http://unix:{folder}/recorder.sock:; }} }}
}}
"""


class _Handler(socketserver.StreamRequestHandler):
    """One request a connection, as nginx sends it: HTTP/1.0 with a length."""

    def handle(self):
        line = self.rfile.readline().decode("latin-1")
        size = 0
        while True:
            field = self.rfile.readline().decode("latin-1")
            if field in ("\r\n", ""):
                break
            found = re.match(r"(?i)content-length: *(\d+)", field)
            size = int(found.group(1)) if found else size
        self.server.saw(line.split(" ")[1].split("?")[0], self.rfile.read(size))
        self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")


class _Recorder(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, path):
        self.bodies, self.lock = {}, threading.Lock()
        super().__init__(str(path), _Handler)

    def saw(self, path, body):
        with self.lock:
            self.bodies.setdefault(path, []).append(body)


class Nginx:
    def __init__(self, folder):
        self.folder = folder
        for name in ("tmp", "html"):
            (folder / name).mkdir(parents=True)
        self.recorder = _Recorder(folder / "recorder.sock")
        threading.Thread(target=self.recorder.serve_forever, daemon=True).start()
        config = folder / "nginx.conf"
        config.write_text(CONFIG.format(folder=folder, user="user root;" if os.geteuid() == 0 else ""))
        self.process = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(config)], env=env.of(folder), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
        daemon.until(self._is_up, "nginx listens")

    def _is_up(self):
        assert self.process.poll() is None, (self.folder / "error.log").read_text()
        try:
            self.connect("proxy").close()
        except OSError:
            return False
        return True

    def connect(self, which):
        """A socket to the "static" or the "proxy" server."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self.folder / f"{which}.sock"))
        return connection

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.recorder.shutdown()
        self.recorder.server_close()
