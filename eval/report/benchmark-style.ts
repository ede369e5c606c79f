/**
 * What a benchmark's page adds to that of a single set. Colours of series also differ in lightness, and lines in shape.
 */
export const BENCHMARK_STYLE = `
:root{--s0:#1c66ad;--s1:#c65310;--s2:#0f7f5d;--s3:#8a3f99;--up:#1c5fa8;--down:#a33a06}
@media (prefers-color-scheme:dark){:root{--s0:#74b4f2;--s1:#f28c4e;--s2:#52c9a0;--s3:#d9a1e6;--up:#8cc0ff;--down:#ffb48a}}
.s0{--c:var(--s0)}.s1{--c:var(--s1)}.s2{--c:var(--s2)}.s3{--c:var(--s3)}
main>section>.scrolling+.scrolling,.note+.scrolling{margin-top:18px}
main>section>.note,.recipe>.note{margin:8px 0 0}

.paper th,.paper td{padding:5px 10px}
.paper thead th{padding:8px 10px}
.paper thead tr:first-child th{text-align:center;font-size:.9375rem;border-bottom:1px solid var(--rule)}
.paper thead tr:first-child th:first-child{text-align:left;border-bottom:0}
.paper thead tr:nth-child(2) th{position:static;text-align:right;border-top:0}
.paper thead tr:first-child small{margin-left:.3em}
.paper .first{border-left:1px solid var(--rule)}
.paper td{line-height:1.25}
.paper td b{font-weight:600}
.paper td small{display:block;min-height:1.25em;white-space:nowrap}
.paper .none.first{text-align:center}
.group th{padding-top:14px;font-size:.8125rem;color:var(--soft);font-weight:600}
.group th span{position:sticky;left:10px}
.average>*{border-top:1px solid var(--ink);font-weight:700}
.average small{font-weight:400}
.up{color:var(--up)}.down{color:var(--down)}.up,.down{font-weight:600}.even{color:var(--soft)}
.doubt{text-decoration:none;font-weight:700;padding:0 2px}
.doubts li:target{background:var(--wrong-tint)}
.printed-table td,.costs td{font-size:.875rem}
.printed-table th,.printed-table td{padding-left:7px;padding-right:7px}
.printed-table td{font-size:.8125rem}
.costs th,.costs td{padding-top:4px;padding-bottom:4px}
.costs th:nth-child(2),.costs td:nth-child(2){text-align:left}

.keys{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:4px 22px;margin-bottom:12px;font-size:.9375rem}
.keys li{display:flex;align-items:center;gap:7px;flex-wrap:wrap}
.keys .swatch{background:var(--c);margin:0}
.key{overflow:visible}
.key .printed{stroke:var(--ink);stroke-width:1.6;stroke-dasharray:5 4}
.tick{display:inline-block;width:2.5px;height:15px;background:var(--ink);}
.radars{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(340px,100%),1fr));gap:14px;margin-bottom:14px}
.bar-panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(340px,100%),1fr));gap:14px}
.radars .panel,.bar-panels .panel{max-width:640px}
.radar .start{text-anchor:start}
.radar .ring{font-size:10px}
.outline{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round}
.radar .outline{fill:var(--c);fill-opacity:.1}
.radar .printed .outline{fill:none;stroke-width:1.5;stroke-dasharray:5 4;opacity:.85}
.radar circle,.marker{fill:var(--c)}
.radar .s1 circle{fill:var(--sheet);stroke:var(--c);stroke-width:2}
.bars rect{fill:var(--c)}
.bars .value,.bars .none{font-size:9.5px}
.bars .name{font-size:11px;fill:var(--ink)}
.mark{stroke:var(--ink);stroke-width:2;fill:none}
.s0 .outline,.keys .s0 .outline{stroke-dasharray:none}
.bar-panels .s1 .outline,.keys .s1 .outline{stroke-dasharray:7 3}
.bar-panels .s2 .outline,.keys .s2 .outline{stroke-dasharray:2 3}
.bar-panels .s3 .outline,.keys .s3 .outline{stroke-dasharray:9 3 2 3}

.heats{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(380px,100%),1fr));gap:14px}
.heat td{text-align:center;background:color-mix(in srgb,var(--accent) calc(var(--v,0)*42%),var(--sheet))}
.heat td.none{background:none}
.heat thead th{text-align:center;padding:8px 10px}
.heat thead th:first-child{text-align:left}

.set{border:1px solid var(--rule);border-radius:10px;background:var(--sheet);margin-top:10px;padding:0 18px;scroll-margin-top:10px}
.set>summary{padding:11px 0;display:flex;flex-wrap:wrap;gap:2px 18px;align-items:baseline}
.set>summary::before{content:"▸";color:var(--soft);width:.8em}
.set[open]>summary::before{content:"▾"}
.set>summary::-webkit-details-marker{display:none}
.set>summary h3{font-size:1.0625rem}
.set>summary small{display:flex;flex-wrap:wrap;gap:0 18px;font-variant-numeric:tabular-nums}
.set>summary small b{color:var(--ink);font-weight:600}
.set>summary:hover h3{color:var(--accent)}
.set .scrolling,.set .histogram,.set .panel{background:var(--page)}
.set th:first-child{background:var(--page)}
.recipe{border-top:1px solid var(--rule);padding:14px 0 22px}
.recipe>h4{font-size:1.25rem}
.recipe>h5{font-size:1.0625rem;margin:22px 0 8px}
.recipe>.scrolling{margin-top:12px}
.about{padding-left:1.2rem}
.about li{margin:3px 0;overflow-wrap:anywhere;white-space:pre-line}
#notes h3{margin-top:1rem}
.command{background:var(--sheet);border:1px solid var(--rule);border-radius:8px;padding:10px 14px;overflow-x:auto;margin:0 0 8px}
.command code{color:var(--ink);font-size:.875rem;white-space:pre-wrap}
@media (max-width:560px){.paper tbody th[scope=row]{white-space:normal;min-width:6.4rem;max-width:7.5rem;overflow-wrap:anywhere}.set{padding:0 12px}.paper th,.paper td{padding:4px 8px}.radars .panel,.bar-panels .panel{padding:10px 8px}}
@media print{.set{border:0;padding:0}.paper th,.paper td,.printed-table th,.printed-table td{padding:3px 5px}}
`;
