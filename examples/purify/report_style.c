#include "report_style.h"

#include <stddef.h>

static const char *const lines[] = {
    ":root{color-scheme:light dark;--page:#f6f6f3;--card:#fff;--ink:#1b2027;--muted:#68717d;",
    "--line:#e4e4de;--lane:#f1f1ed;--op:#d9e2ee;--compute:#2f6fbf;--transfer:#e2862a;--good:#"
    "1f8a56;",
    "--bad:#c0392b}",
    "@media(prefers-color-scheme:dark){:root{--page:#12151a;--card:#1b1f26;--ink:#e7eaee;",
    "--muted:#98a2af;--line:#2c323c;--lane:#232831;--op:#34404f;--compute:#5f9fe8;--transfer:#"
    "f0a24c;",
    "--good:#4cc38a;--bad:#ef6a5c}}",
    "*{box-sizing:border-box}",
    "body{margin:0;background:var(--page);color:var(--ink);",
    "font:15px/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,sans-serif}",
    "main{max-width:1160px;margin:0 auto;padding:36px 24px 64px}",
    "header p{margin:0;color:var(--muted)}",
    "h1{font-size:30px;line-height:1.2;margin:4px 0 6px;letter-spacing:-.01em}",
    "h2{font-size:16px;margin:0 0 2px}",
    "h2+p{margin:0 0 14px;color:var(--muted);font-size:13px}",
    ".verdict{border-left:4px solid var(--bad);padding:10px 14px;background:var(--card);",
    "border-radius:0 8px 8px 0;margin:18px 0 0}",
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(138px,1fr));gap:12px;",
    "margin:24px 0 16px}",
    ".tile{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:12px "
    "16px}",
    ".tile b{display:block;font-size:18px;font-weight:600;font-variant-numeric:tabular-nums;",
    "letter-spacing:-.01em;white-space:nowrap}",
    ".tile span{color:var(--muted);font-size:12.5px}",
    ".tile small{font-size:12px;font-weight:500;color:var(--muted)}",
    ".good{color:var(--good)}.bad{color:var(--bad)}",
    ".cards{display:grid;grid-template-columns:repeat(6,1fr);gap:16px}",
    ".card{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:18px "
    "20px;",
    "grid-column:span 2;min-width:0}",
    ".card.half{grid-column:span 3}.card.wide{grid-column:1/-1}",
    "@media(max-width:860px){.card,.card.half{grid-column:1/-1}}",
    "svg{display:block;width:100%;height:auto}",
    ".owners svg{max-width:100%;margin:0 auto}",
    ".heat{display:block;width:100%;aspect-ratio:1;image-rendering:pixelated;border-radius:6px}",
    ".scale{display:flex;align-items:center;gap:8px;margin-top:12px;font-size:12px;",
    "color:var(--muted)}",
    ".scale i{flex:1;height:8px;border-radius:4px}.scale sup{font-size:9px}",
    ".note{margin:8px 0 0;font-size:12.5px;color:var(--muted)}",
    ".tick{fill:var(--muted);font-size:11.5px;font-variant-numeric:tabular-nums}",
    ".grid{stroke:var(--line);stroke-width:1}",
    ".goal{stroke:var(--transfer);stroke-width:1.5;stroke-dasharray:5 4}",
    ".curve{fill:none;stroke:var(--compute);stroke-width:2;stroke-linejoin:round}",
    ".dot{fill:var(--compute);stroke:var(--card);stroke-width:1.2}",
    ".lane{fill:var(--lane)}.op{fill:var(--op)}.compute{fill:var(--compute)}",
    ".transfer{fill:var(--transfer)}.share1{fill:var(--compute)}.share2{fill:var(--transfer)}",
    ".key{display:flex;gap:18px;font-size:12.5px;color:var(--muted);margin:0 0 12px}",
    ".key i{display:inline-block;width:12px;height:12px;border-radius:3px;margin-right:6px;",
    "vertical-align:-1px}",
    ".card h3{font-size:13px;font-weight:600;margin:16px 0 8px}",
    ".scroll{overflow-x:auto}",
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:13.5px}",
    "th,td{text-align:right;padding:5px 10px;border-bottom:1px solid "
    "var(--line);white-space:nowrap}",
    "th{color:var(--muted);font-weight:500}tr:last-child td{border-bottom:0}",
    "table.facts th,table.facts td{text-align:left}table.facts td{white-space:normal}",
};

void report_style_write(FILE *out) {
  fputs("<style>\n", out);
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) fprintf(out, "%s\n", lines[i]);
  fputs("</style>\n", out);
}
