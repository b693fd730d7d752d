"""The rows as a picture: four panels of bars, by gnuplot, as SVG and PNG. One colour is one server everywhere."""
import subprocess

from procs import Failed
from table import Figures

COLOURS = {"domicile": "#1b6ca8", "domicile on tmpfs": "#8fc1e3", "null handler": "#7a7a7a", "engine": "#c4c4c4",
           "nginx": "#3f9b5b", "radosgw": "#d1603d", "hash limit md5": "#e0b83e"}
SMALL = (("put-4k", "PUT"), ("get-4k", "GET"), ("tls-get-4k", "TLS"), ("delete", "DEL"), ("list", "LIST"))
LARGE = (("put-16m", "PUT"), ("get-16m", "GET"), ("upload-1g", "parts"))


def groups_of(f, cells):
    found = []
    for cell, word in cells:
        for connections in sorted({c for (name, c, _) in f.by if name == cell}):
            found.append((cell, connections, f"{word}\\n{connections}"))
    return found


def panel(f, title, unit, cells, figure, log):
    """One panel's commands and data; nothing when there are no rows for it."""
    groups = groups_of(f, cells)
    labels = [s for s in COLOURS if any(f.median((c, n, s), figure) for c, n, _ in groups)]
    if not labels:
        return ["set multiplot next"]
    data = ["$d << E"]
    for cell, connections, name in groups:
        values = [f.median((cell, connections, s), figure) for s in labels]
        data.append(f'"{name}" ' + " ".join("?" if not v else f"{v:.6g}" for v in values))
    data.append("E")
    bars = [f'$d using {i + 2}:xtic(1) title "{s}" lc rgb "{COLOURS[s]}"' for i, s in enumerate(labels)]
    scale = "set logscale y; set yrange [*:*]" if log else "unset logscale; set yrange [0:*]"
    key = "unset key" if figure == "cpu_us" else "set key"  # the colours are those of the panel above
    return data + [f'set title "{title}"; set ylabel "{unit}"', scale, key, "plot " + ", ".join(bars)]


def idle_panel(f):
    found = [(s, f.median(key, "idle_mib")) for key in f.by for s in (key[2],) if key[0] == "idle"]
    if not found:
        return ["set multiplot next"]
    data = ["$i << E"] + [f'"{s}" {max(v, 0.001):.6g} {i}' for i, (s, v) in enumerate(found)] + ["E"]
    bars = [f'$i every ::{i}::{i} using ({i}):2:(0.6) with boxes notitle lc rgb "{COLOURS.get(s, "#000000")}"'
            for i, (s, _) in enumerate(found)]
    bars.append("$i using 3:2:(sprintf('%.2f', $2)) with labels offset 0,0.6 notitle")
    tics = ", ".join(f'"{s}" {i}' for i, (s, _) in enumerate(found))
    return data + [f'set title "resident memory for 1,000 idle connections"; set ylabel "MiB"',
                   "unset logscale; set yrange [0:*]", f"set xtics ({tics})", f"set xrange [-0.7:{len(found) - 0.3}]",
                   "plot " + ", ".join(bars)]


def script(f, terminal, path):
    head = [f"set terminal {terminal}", f'set output "{path}"', "set datafile missing '?'",
            "set style data histograms; set style histogram clustered gap 1.5", "set style fill solid 1 noborder",
            "set boxwidth 0.95 relative", "set grid ytics lc rgb '#dddddd'; set border 3 lc rgb '#888888'",
            "set tics nomirror; set xtics scale 0", "set key outside above horizontal maxrows 1 samplen 1 font ',9'",
            "set title offset 0,-0.3",
            "set multiplot layout 2,2 margins 0.07,0.98,0.08,0.89 spacing 0.07,0.16"]
    panels = [panel(f, "small requests per second (log)", "requests/s", SMALL, "rps", True),
              panel(f, "large objects", "MB/s", LARGE, "mbps", False),
              panel(f, "server CPU for one request (log)", "µs", SMALL + LARGE, "cpu_us", True), idle_panel(f)]
    return "\n".join(head + [line for p in panels for line in p] + ["unset multiplot", "unset output"]) + "\n"


def draw(rows, folder):
    f, paths = Figures(rows), []
    for terminal, ending in (("svg size 1500,1000 font 'sans,12' background '#ffffff'", "svg"),
                             ("pngcairo size 1500,1000 font 'sans,11' background '#ffffff'", "png")):
        path = f"{folder}/s3.{ending}"
        done = subprocess.run(["gnuplot"], input=script(f, terminal, path), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"gnuplot: {done.stderr[-600:]}")
        paths.append(path)
    return paths
