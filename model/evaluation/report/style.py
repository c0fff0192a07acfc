"""The style of the HTML report. Six colours that stay apart for colour-blind eyes, in light and in dark."""

STYLE = """
:root{color-scheme:light dark;--page:#fcfcfb;--ink:#1a1a19;--soft:#5f5e5a;--rule:#dddcd6;--tint:#eef4fc;
--s0:#b9b7ae;--s1:#2a78d6;--s2:#eb6834;--s3:#1baf7a;--s4:#4a3aa7;--s5:#c98500;--s6:#d6478a}
@media(prefers-color-scheme:dark){:root{--page:#1a1a19;--ink:#f0efe9;--soft:#aaa89f;--rule:#3d3d3a;--tint:#1f2c3d;
--s0:#65645f;--s1:#3987e5;--s2:#e2692f;--s3:#1fae7c;--s4:#9085e9;--s5:#d69a1e;--s6:#e0629c}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1240px;margin:auto;padding:16px}
h1{font-size:1.6rem;line-height:1.2;margin:.4em 0}h2{font-size:1.25rem;margin:2em 0 .4em;padding-top:.6em;
border-top:1px solid var(--rule)}h3{font-size:1rem;margin:1.6em 0 0}
p,ul,figcaption{max-width:75ch}h3+p{margin:.1em 0 .5em;color:var(--soft);font-size:.87rem}
nav{display:flex;flex-wrap:wrap;gap:4px 18px}a{color:var(--s1);padding:6px 0}
.wide{overflow-x:auto;border:1px solid var(--rule);border-radius:6px}
table{border-collapse:collapse;font-size:.82rem;font-variant-numeric:tabular-nums;min-width:100%}
th,td{padding:5px 10px;text-align:right;white-space:nowrap;border-top:1px solid var(--rule)}
thead th{border-top:0;color:var(--soft);font-weight:600;vertical-align:bottom}
th:first-child{text-align:left;position:sticky;left:0;background:var(--page);font-weight:600;
white-space:normal;min-width:9.5em;max-width:17em}
.best{font-weight:700;background:var(--tint)}.quiet{color:var(--soft);font-style:italic}
td.quiet{white-space:normal;min-width:9em}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(330px,100%),1fr));gap:20px 28px;margin-top:1em}
figure{margin:0;max-width:560px}figcaption{font-size:.87rem;color:var(--soft)}figcaption b{color:var(--ink)}
.legend{list-style:none;margin:.5em 0;padding:0;display:flex;flex-wrap:wrap;gap:2px 14px;font-size:.82rem}
.legend svg{margin-right:5px}
.plot{width:100%;height:auto;display:block;font:11px system-ui,sans-serif}
.plot text{fill:var(--soft)}.plot .row,.plot .name{fill:var(--ink);font-weight:600}
.plot .row,.plot .name{paint-order:stroke;stroke:var(--page);stroke-width:3px}
.grid{stroke:var(--rule);stroke-width:1;fill:none}.zero{stroke:var(--soft);stroke-width:1;fill:none}
.guide{stroke:var(--soft);stroke-width:1.2;fill:none}
.line{fill:none;stroke-width:2;stroke-linejoin:round}.whisker{stroke:var(--ink);stroke-width:1.2;fill:none}
.points{fill:none;stroke-width:4;stroke-linecap:round;stroke-opacity:.75}
.mark{fill:var(--page);stroke:var(--ink);stroke-width:2.5}.dot{stroke:var(--page);stroke-width:.6}
.line.s1,.points.s1{stroke:var(--s1)}.dot.s1,.bar.s1{fill:var(--s1)}
.line.s2,.points.s2{stroke:var(--s2)}.dot.s2,.bar.s2{fill:var(--s2)}
.line.s3,.points.s3{stroke:var(--s3)}.dot.s3,.bar.s3{fill:var(--s3)}
.line.s4,.points.s4{stroke:var(--s4)}.dot.s4,.bar.s4{fill:var(--s4)}
.line.s5,.points.s5{stroke:var(--s5)}.dot.s5,.bar.s5{fill:var(--s5)}
.line.s6,.points.s6{stroke:var(--s6)}.dot.s6,.bar.s6{fill:var(--s6)}
.points.s0{stroke:var(--s0)}.bar.s0{fill:var(--s0)}
"""
