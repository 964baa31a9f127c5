"use strict";
// Draws the figures that stand as numbers in the page, sorts and filters its table. Everything that a user named is text here, never markup.
(() => {
  const byId = (id) => document.getElementById(id);
  const root = document.documentElement;
  const data = JSON.parse(byId("data").textContent);
  const SYMBOLS = ["circle", "diamond", "square", "triangle-up"];
  const OPTIONS = { displayModeBar: false, responsive: true };

  // --- colours: those of the style sheet, as the theme in force resolves them

  const probe = document.body.appendChild(document.createElement("span"));
  probe.hidden = true;
  const color = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const colorOf = (index) => color(index === null ? "ink" : `c${index}`);

  // Plotly reads a little markup in texts; nothing of it is meant.
  const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/\n/g, "<br>");

  // --- figures

  // An axis with room for so many ticks. Values that lie close together need no logarithm; ticks of one are at 1, 2 and 5 of each decade,
  // or at 1 of each.
  const axis = (given, values, room = 0) => {
    const high = Math.max(...values), decades = Math.log10(high / Math.min(...values)), log = given.log && decades > 0.7;
    return {
      title: { text: plain(given.title), standoff: 10, font: { size: 13 } },
      type: log ? "log" : "linear",
      tickformat: given.share ? "~%" : high < 1000 ? "~g" : "~s",
      ticklabelstandoff: 4,
      rangemode: given.share || given.log ? "tozero" : "normal",
      ...(log ? { dtick: 3 * decades < room ? "D2" : Math.ceil(decades / room) } : {}),
      gridcolor: color("line"),
      linecolor: color("line"),
      zerolinecolor: color("line"),
      automargin: true,
      ticks: "",
    };
  };

  const layout = (height, more) => ({
    height,
    margin: { l: 8, r: 12, t: 12, b: 8 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12.5, color: color("soft") },
    hoverlabel: { bgcolor: color("raised"), bordercolor: color("soft"), font: { color: color("ink"), size: 13 }, align: "left" },
    hovermode: "closest",
    showlegend: false,
    // A finger scrolls the page; a mouse may draw a rectangle to zoom.
    dragmode: matchMedia("(pointer: fine)").matches ? "zoom" : false,
    ...more,
  });

  const LINES = { measured: { width: 1.6 }, law: { width: 1.6, dash: "dash" }, front: { width: 1.2, dash: "dot" }, baseline: { width: 1.2, dash: "dash" } };
  const marker = (series) => {
    const shade = colorOf(series.color), symbol = SYMBOLS[series.symbol];
    if (series.role === "front") return { symbol: "circle-open", size: 17, color: shade, line: { width: 1.4 } };
    if (series.role === "estimated") return { symbol: `${symbol}-open`, size: 13, color: shade, line: { width: 1.6 } };
    return { symbol, size: 8, color: shade };
  };

  const drawPlot = (place, panel, hidden) => {
    const traces = [];
    for (const series of panel.series.filter((one) => !hidden.has(one.name))) {
      const common = { type: "scatter", showlegend: false };
      if (series.line.length) {
        const line = { ...LINES[series.role], color: colorOf(series.color) };
        // A short dash at each point of the law: it is there for a single one too.
        const drawn = series.role === "law" ? { mode: "lines+markers", marker: { symbol: "line-ew-open", size: 9, color: line.color } } : { mode: "lines" };
        traces.push({ ...common, ...drawn, line, x: series.line.map(([x]) => x), y: series.line.map(([, y]) => y), hoverinfo: "skip" });
      }
      if (series.marks.length) {
        const [x, y] = [series.marks.map((mark) => mark.x), series.marks.map((mark) => mark.y)];
        const hover = series.role === "front" ? { hoverinfo: "skip" } : { text: series.marks.map((mark) => plain(mark.text)), hovertemplate: "%{text}<extra></extra>" };
        traces.push({ ...common, mode: "markers", marker: marker(series), cliponaxis: false, x, y, ...hover });
      }
    }
    const values = (name) => traces.flatMap((trace) => trace[name]);
    const x = axis(panel.x, values("x"), place.clientWidth / 55), y = { ...axis(panel.y, values("y"), 12), title: { text: "" } };
    return Plotly.react(place, traces, layout(340, { xaxis: x, yaxis: y }), OPTIONS);
  };

  const drawBars = (place, panel, hidden) => {
    const labels = panel.labels.map(plain), places = labels.map((_, index) => index);
    const shown = (parts) => parts.filter((part) => !hidden.has(part.name));
    const common = (part) => ({
      x: part.values, y: places, text: labels.map((label) => `${label}<br>${plain(part.name)}`), showlegend: false,
      hovertemplate: `%{text}: %{x:${panel.x.share ? ".1%" : ",.4~g"}}<extra></extra>`,
    });
    const line = { color: color("ground"), width: 1 };
    const bars = shown(panel.parts).map((part) => ({
      ...common(part), type: "bar", orientation: "h", textposition: "none", marker: { color: colorOf(part.color), line },
    }));
    const marks = shown(panel.marks).map((part) => ({
      ...common(part), type: "scatter", mode: "markers", cliponaxis: false, marker: { symbol: SYMBOLS[1], size: 10, color: colorOf(part.color), line },
    }));
    const y = {
      tickvals: places, ticktext: labels, range: [labels.length - 0.4, -0.6], automargin: true, ticks: "", ticklabelstandoff: 6,
      showgrid: false, zeroline: false,
    };
    const axes = { barmode: "stack", bargap: 0.25, xaxis: axis(panel.x, panel.parts.flatMap((part) => part.values)), yaxis: y };
    return Plotly.react(place, [...bars, ...marks], layout(90 + 22 * labels.length, axes), OPTIONS);
  };

  const drawFigure = (section) => {
    const hidden = new Set([...section.querySelectorAll(".legend button[aria-pressed=false]")].map((one) => one.dataset.name));
    const panels = data.figures[section.dataset.figure];
    return [...section.querySelectorAll(".plot")].map((place, index) =>
      (panels[index].kind === "bars" ? drawBars : drawPlot)(place, panels[index], hidden));
  };

  // --- pictures of the model that is chosen

  const inflate = async (packed) => {
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
  };

  const drawPicture = async (picture, into, tall) => {
    const panel = document.createElement("div"), title = document.createElement("h3"), place = document.createElement("div");
    panel.className = "panel";
    title.textContent = picture.title;
    place.className = "plot";
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", picture.description);
    panel.append(title, place);
    into.append(panel);
    const { rows, columns, scale } = picture;
    const cells = await inflate(picture.cells);
    const z = Array.from({ length: rows }, (_, row) => cells.subarray(row * columns, (row + 1) * columns));
    const trace = {
      type: "heatmap", z, dx: scale[1], dy: scale[0], zmin: 0, zmax: 255, showscale: false, colorscale: [[0, color("raised")], [1, color("accent")]],
      hovertemplate: `${plain(picture.y)} %{y}<br>${plain(picture.x)} %{x}<extra></extra>`,
    };
    const frame = { showline: true, mirror: true, linecolor: color("line"), showgrid: false, zeroline: false, ticks: "", automargin: true };
    const x = { ...frame, title: { text: plain(picture.x), standoff: 8, font: { size: 13 } } };
    const y = { ...frame, title: { text: plain(picture.y), standoff: 8, font: { size: 13 } }, autorange: "reversed" };
    const width = (columns * scale[1]) / picture.parts.length;
    if (picture.parts.length) {
      trace.hoverinfo = "skip";
      x.tickvals = picture.parts.map((_, part) => (part + 0.5) * width - scale[1] / 2);
      x.ticktext = picture.parts;
    }
    const edges = picture.parts.slice(1).map((_, part) => {
      const place = (part + 1) * width - scale[1] / 2;
      return { type: "line", yref: "paper", y0: 0, y1: 1, x0: place, x1: place, line: { color: color("soft"), width: 1 } };
    });
    await Plotly.react(place, [trace], layout(tall(rows, place.clientWidth), { xaxis: x, yaxis: y, shapes: edges }), OPTIONS);
  };

  const drawChosen = async () => {
    const model = data.models[byId("model").value];
    for (const [place, pictures, tall] of [
      [byId("rasters"), model.rasters, (rows) => 110 + Math.min(260, 2 * rows)],
      [byId("masks"), model.masks, (rows, width) => Math.min(420, 90 + width / 3)],
    ]) {
      place.querySelectorAll(".plot").forEach((old) => Plotly.purge(old));
      place.replaceChildren();
      await Promise.all(pictures.map((picture) => drawPicture(picture, place, tall)));
    }
  };

  // One after the other: whoever goes through the list with the arrow keys asks for the next before this one stands.
  let drawn = Promise.resolve();
  const drawModel = () => (drawn = drawn.then(drawChosen));

  const drawAll = async () => {
    await Promise.all([...document.querySelectorAll("[data-figure]")].flatMap(drawFigure));
    if (byId("model")) await drawModel();
  };

  // --- the table

  const table = byId("table"), body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];

  const compare = (one, other) => {
    const numbers = [Number(one), Number(other)];
    return numbers.some(Number.isNaN) ? one.localeCompare(other, "en", { numeric: true }) : numbers[0] - numbers[1];
  };

  const sort = (head) => {
    const index = heads.indexOf(head), sign = head.ariaSort === "ascending" ? -1 : 1;
    const value = (row) => row.cells[index].dataset.value;
    // What is missing comes last, whichever way.
    const order = (a, b) => (value(a) === "") - (value(b) === "") || sign * compare(value(a), value(b));
    heads.forEach((other) => { other.ariaSort = "none"; });
    head.ariaSort = sign > 0 ? "ascending" : "descending";
    body.append(...[...body.rows].sort(order));
  };

  const filter = () => {
    const words = byId("filter").value.toLowerCase().split(/\s+/);
    let shown = 0;
    for (const row of body.rows) {
      row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
      shown += !row.hidden;
    }
    byId("count").textContent = `${shown} of ${body.rows.length} points`;
  };

  // --- start

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const showTheme = () => byId("theme").setAttribute("aria-pressed", isDark());
  const retheme = () => { showTheme(); return drawAll(); };

  heads.forEach((head) => head.firstElementChild.addEventListener("click", () => sort(head)));
  byId("filter").addEventListener("input", filter);
  showTheme();

  const start = async () => {
    const script = document.createElement("script");
    script.textContent = new TextDecoder().decode(await inflate(byId("plotly").textContent));
    document.head.append(script);
    await drawAll();
    byId("theme").addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; retheme(); });
    dark.addEventListener("change", retheme);
    byId("model")?.addEventListener("change", drawModel);
    document.querySelectorAll(".legend button").forEach((button) => button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", button.ariaPressed !== "true");
      drawFigure(button.closest("section"));
    }));
    byId("main").removeAttribute("aria-busy");
  };
  start().catch((error) => {
    byId("failure").textContent = `This browser could not draw the figures (${error.message}). All numbers are in the tables below.`;
    byId("failure").hidden = false;
    byId("main").removeAttribute("aria-busy");
  });
})();
