/** Style of the report: light or dark by the reader's setting, for phones, wide screens and paper. */
export const STYLE = `
:root{color-scheme:light dark;--page:#f6f7f9;--sheet:#fff;--ink:#1a2029;--soft:#59636f;--rule:#dde1e7;--accent:#2459a8;--tint:#bcd3f2;--normal:#3f7fc4;--anomalous:#cf5a1c;--wrong:#a33a06;--wrong-tint:#fdeadf;--quiet:#93a4ba}
@media (prefers-color-scheme:dark){:root{--page:#101318;--sheet:#181c23;--ink:#e6eaf0;--soft:#a0abb9;--rule:#2c333d;--accent:#8cb8f5;--tint:#34517c;--normal:#639fe0;--anomalous:#ee8447;--wrong:#ffb48a;--wrong-tint:#452816;--quiet:#5c6b80}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
header,main,footer{max-width:1320px;margin:0 auto;padding:0 28px}
h1,h2,h3,h4,h5,h6,p,figure,dl,dd,ul{margin:0}
h1{font-size:clamp(1.8rem,4vw,2.8rem);line-height:1.1;letter-spacing:-.02em;overflow-wrap:anywhere}
h2{font-size:1.45rem;letter-spacing:-.01em;margin-bottom:.5rem}
h3,h5{font-size:1rem}
h4,h6{font-size:.95rem}
small,code,.note{color:var(--soft);font-size:.8125rem;font-weight:400}
code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.75rem;overflow-wrap:anywhere}
a{color:var(--accent)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px;border-radius:3px}
img,svg{display:block}
abbr{text-decoration:underline dotted;cursor:help}

header{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,34rem);gap:40px;align-items:center;padding-top:44px;padding-bottom:34px}
header .intro:only-child{grid-column:1/-1}
.kicker{color:var(--soft);font-size:.875rem;margin-bottom:.35rem}
.summary{margin-top:.9rem;font-size:1.0625rem;max-width:40rem}
nav{display:flex;flex-wrap:wrap;gap:4px 18px;margin-top:1.1rem}
.mosaic{display:grid;grid-template-columns:repeat(4,minmax(0,1fr));gap:6px}
.mosaic a{position:relative;border-radius:6px;overflow:hidden}
.mosaic img{width:100%;height:auto;aspect-ratio:1;object-fit:cover}
.mosaic span{position:absolute;inset:auto 0 0 0;padding:12px 7px 3px;color:#fff;font-size:.75rem;background:linear-gradient(transparent,#000c);overflow:hidden;text-overflow:ellipsis;white-space:nowrap}

main>section{margin-bottom:52px;scroll-margin-top:16px}
main>section>p{max-width:50rem;color:var(--soft);margin-bottom:1rem}
.figures{display:grid;grid-template-columns:2fr 3fr;gap:20px}
.figures h2{font-size:1.05rem;color:var(--soft);font-weight:600}
.cards{display:grid;grid-template-columns:repeat(var(--cards),minmax(0,1fr));gap:14px}
.card{background:var(--sheet);border:1px solid var(--rule);border-radius:10px;padding:14px 16px 12px;display:flex;flex-direction:column}
.card h3{font-size:.9375rem;line-height:1.3}
.card h3 code{display:block;font-size:.6875rem}
.figure{font-size:2.5rem;line-height:1.2;font-weight:650;letter-spacing:-.03em;font-variant-numeric:tabular-nums;margin-top:.2rem}
.figure small{font-size:1.1rem;margin-left:.1em;letter-spacing:0}
.dots{width:100%;max-width:280px;height:auto;margin:.3rem 0 .45rem}
.dots path{stroke:var(--rule);stroke-width:1;fill:none}
.dots text{font-size:8.5px;fill:var(--soft);text-anchor:middle}
.dots text:first-of-type{text-anchor:start}
.dots text:last-of-type{text-anchor:end}
.dots circle{fill:var(--accent);fill-opacity:.55}
.card .note b{color:var(--ink)}

.scrolling{overflow-x:auto;background:var(--sheet);border:1px solid var(--rule);border-radius:10px}
table{border-collapse:separate;border-spacing:0;width:100%;font-variant-numeric:tabular-nums}
caption{text-align:left;padding:10px 14px;color:var(--soft);font-size:.8125rem}
caption span{position:sticky;left:14px;display:inline-block;max-width:calc(100vw - 62px)}
th,td{padding:6px 10px;text-align:right;white-space:nowrap;border-top:1px solid var(--rule)}
thead th{font-size:.8125rem;vertical-align:bottom;padding:0}
thead code{display:block;font-size:.625rem;white-space:normal;overflow-wrap:normal;line-height:1.25;width:5.2rem;margin-left:auto}
thead th:not(:has(button)){padding:8px 10px}
thead button{all:unset;box-sizing:border-box;display:block;width:100%;padding:8px 10px;cursor:pointer;text-align:inherit}
thead button:focus-visible{outline:3px solid var(--accent);outline-offset:-3px}
thead button:hover{color:var(--accent)}
[data-sortable] thead span::after{content:"\\2009↕";font-weight:400;color:var(--soft);visibility:hidden}
[data-sortable] thead button span::after{visibility:visible}
[data-sortable] thead [aria-sort=ascending] span::after{content:"\\2009↑"}
[data-sortable] thead [aria-sort=descending] span::after{content:"\\2009↓"}
thead [aria-sort]{color:var(--accent)}
thead [aria-sort=ascending]{box-shadow:inset 0 3px var(--accent)}
thead [aria-sort=descending]{box-shadow:inset 0 -3px var(--accent)}
th:first-child{text-align:left;position:sticky;left:0;background:var(--sheet);z-index:1}
tbody th,tfoot th{font-weight:500}
tbody th a{color:inherit;text-decoration-color:var(--quiet);text-underline-offset:3px}
.metric{background:linear-gradient(var(--tint),var(--tint)) no-repeat 10px calc(100% - 3px)/calc((100% - 20px)*var(--v)) 4px}
.none{color:var(--soft)}
tfoot tr:first-child>*{border-top:2px solid var(--ink);font-weight:700}
.reasons{margin:.6rem 0 0;padding-left:1.2rem;color:var(--soft);font-size:.875rem}
details{margin-top:14px}
summary{cursor:pointer;font-weight:600;padding:6px 0}
details .scrolling{margin-top:10px}
main>.notice{background:var(--wrong-tint);border-radius:10px;padding:6px 16px 8px;margin-bottom:24px}
.notice details{margin:0}
.notice ul{padding-left:1.2rem}
.notice li{overflow-wrap:anywhere}

.chart{width:100%;height:auto;overflow:visible}
.panel .chart text{font-size:12px}
.chart text{font-size:11px;fill:var(--soft)}
.chart .middle{text-anchor:middle}
.chart .end{text-anchor:end}
.grid{stroke:var(--rule);stroke-width:1;fill:none}
.histograms{display:grid;grid-template-columns:repeat(auto-fill,minmax(240px,1fr));gap:14px}
.histogram,.panel{background:var(--sheet);border:1px solid var(--rule);border-radius:10px;padding:12px 14px}
.histogram figcaption{display:flex;justify-content:space-between;gap:8px;align-items:baseline}
.histogram figcaption span{color:var(--soft);font-size:.8125rem;white-space:nowrap}
.histogram :is(h3,h5){overflow-wrap:anywhere;font-size:.9375rem;line-height:1.3}
.normal rect,.swatch.normal{fill:var(--normal);background:var(--normal)}
.anomalous rect,.swatch.anomalous{fill:var(--anomalous);background:var(--anomalous)}
.swatch{display:inline-block;width:.75em;height:.75em;border-radius:2px;margin:0 .35em 0 .1em}
.base{stroke:var(--soft);stroke-width:1}
.threshold{stroke:var(--ink);stroke-width:1.4;stroke-dasharray:4 3}

.slider{display:block;width:calc(93.85% + 16px);margin:4px 0 2px calc(3.08% - 8px);height:20px;accent-color:var(--accent);cursor:ew-resize}
.verdict{display:flex;justify-content:space-between;align-items:center;gap:8px;min-height:26px}
.verdict b,.histogram .note b{color:var(--ink);font-variant-numeric:tabular-nums}
.back{font:inherit;font-size:.75rem;padding:1px 9px;border:1px solid var(--rule);border-radius:99px;background:var(--page);color:var(--accent);cursor:pointer}
.back:disabled{visibility:hidden}
.confusion{margin:2px 0 4px;table-layout:fixed}
.confusion th,.confusion td{border:0;padding:1px 0;font-size:.8125rem;font-weight:400;position:static;background:none}
.confusion thead th{color:var(--soft);font-size:.6875rem;line-height:1.2;white-space:normal;text-align:right}
.confusion thead td{width:40%}
.confusion thead th:not(:has(button)){padding:0}
.confusion td b{font-weight:600}
.confusion .bad b{color:var(--wrong)}
.picks{border:0;padding:0;margin:0 0 14px;display:flex;flex-wrap:wrap;gap:6px;min-width:0}
.picks legend{float:left;padding:3px 6px 3px 0;color:var(--soft);font-size:.875rem}
.pick{position:relative;display:inline-block}
.pick input{position:absolute;inset:0;opacity:0;margin:0;width:100%;height:100%;cursor:pointer}
.pick label{display:block;padding:3px 11px;border:1px solid var(--rule);border-radius:99px;background:var(--sheet);font-size:.875rem}
.pick:hover label{border-color:var(--accent)}
.pick input:checked+label{background:var(--accent);border-color:var(--accent);color:var(--page)}
.pick input:focus-visible+label{outline:3px solid var(--accent);outline-offset:2px}
.panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(270px,1fr));gap:14px}
.curves .panels{grid-template-columns:repeat(auto-fill,minmax(232px,1fr))}
.panel :is(h3,h5) code{display:block}
.panel .chart{margin-top:8px}
.curve{--line:var(--quiet);--weight:1.2}
.curve .line{fill:none;stroke:var(--line);stroke-width:var(--weight);stroke-linejoin:round}
.curve .touch{stroke:transparent;stroke-width:9;pointer-events:stroke}
.curve .touch,.curve .line{fill:none}
.curves:has(.pick:not(.kall) input:checked,.pick:not(.kall):hover,.curve:hover) .curve{opacity:.45}
.chance{stroke:var(--soft);stroke-width:1;stroke-dasharray:2 4}
.values text{display:none;font-size:12.5px;font-weight:650;fill:var(--accent)}
.curves:has(.kall input:checked):not(:has(.curve:hover,.pick:not(.kall):hover)) .curve.lowest{--line:var(--anomalous);--weight:2.2}
.curves:has(.kall input:checked):not(:has(.curve:hover,.pick:not(.kall):hover)) .values .lowest{display:inline;fill:var(--wrong)}
.empty{color:var(--soft);padding:18px 0}

.legend{display:flex;flex-wrap:wrap;gap:6px 22px;align-items:center;font-size:.875rem;color:var(--soft);margin-bottom:18px}
.scale{display:inline-flex;gap:8px;align-items:center}
.scale img{height:14px;width:200px;border-radius:3px}
.contour{display:inline-block;width:30px;height:7px;border-radius:4px;background:#fff;border:2px solid #000;margin-right:8px}
.category{border-top:1px solid var(--rule);padding:18px 0 22px;scroll-margin-top:8px}
.category :is(h3,h5){font-size:1.15rem;margin-bottom:.6rem}
.category :is(h3,h5) small{margin-left:.5em}
.kinds{display:grid;grid-template-columns:repeat(3,minmax(0,1fr));gap:26px}
.kind :is(h4,h6){margin-bottom:.4rem}
.kind :is(h4,h6) small{margin-left:.3em}
.shown{margin-bottom:14px}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:3px}
.pair img{width:100%;height:auto;border-radius:4px}
.shown figcaption{display:flex;flex-wrap:wrap;gap:0 10px;align-items:baseline;margin-top:4px;font-size:.875rem}
.score{font-variant-numeric:tabular-nums}
.shown small{flex-basis:100%;overflow-wrap:anywhere}
.wrong{background:var(--wrong-tint);color:var(--wrong);font-weight:600;border-radius:4px;padding:0 7px}

.manifest{display:grid;grid-template-columns:repeat(auto-fit,minmax(300px,1fr));gap:28px;margin-top:10px}
.manifest dl>div{display:grid;grid-template-columns:9rem minmax(0,1fr);gap:10px;padding:5px 0;border-top:1px solid var(--rule);font-size:.875rem}
.manifest dt{color:var(--soft)}
.manifest dd{overflow-wrap:anywhere}
.manifest h3{margin-bottom:.4rem}
footer{color:var(--soft);font-size:.875rem;padding-top:18px;padding-bottom:40px}

@media (max-width:900px){header,.figures,.kinds{grid-template-columns:minmax(0,1fr)}header{gap:24px;padding-top:28px}}
@media (max-width:560px){header,main,footer{padding-left:16px;padding-right:16px}.cards{grid-template-columns:repeat(2,minmax(0,1fr));gap:10px}.card{padding:10px 12px}.card:last-child:nth-child(odd){grid-column:1/-1}th,td,thead button{padding-left:8px;padding-right:8px}table{font-size:.9375rem}.metric{background-position-x:8px;background-size:calc((100% - 16px)*var(--v)) 4px}.figure{font-size:2rem}.category :is(h3,h5) small{display:block;margin-left:0}.kinds{gap:14px}}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
@media print{html,body{font-size:11.5px}th,td,thead button,thead th:not(:has(button)){padding:3px 5px}thead code{width:4.7rem}[data-sortable] thead span::after{content:""!important}.scrolling{overflow:visible}body{background:#fff}.category,.histogram,.panel,.card{break-inside:avoid}nav,.picks,.slider,.back{display:none}}
`;
