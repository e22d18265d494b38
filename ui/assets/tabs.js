() => {
  /* Each tab keeps the visit for itself and writes it down whole: without this, what one tab writes
     would be without the runs that another one has begun since. */
  const channel = new BroadcastChannel("lrlab-visit");
  const heard = [];
  const list = (value) => (Array.isArray(value) ? value : []);
  const lacks = (visit, other) =>
    list(other?.runs).some((run) => !list(visit?.runs).includes(run)) ||
    Object.keys(other?.shown ?? {}).some((kind) => !visit?.shown?.[kind]);
  const joined = (visit, other) => ({
    ...other,
    ...visit,
    runs: [...new Set([...list(other?.runs), ...list(visit?.runs)])],
    shown: { ...other?.shown, ...visit?.shown },
  });
  window.lrlabTabs = {
    tell: (visit) => channel.postMessage(visit),
    join: (visit) => {
      const others = heard.splice(0);
      const whole = others.reduce((sum, other) => (lacks(sum, other) ? joined(sum, other) : sum), visit);
      if (whole !== visit) return whole;  // and is told, as any change
      if (others.some((other) => lacks(other, visit))) channel.postMessage(visit);
      return { __type__: "update" };
    },
  };
  channel.onmessage = ({ data }) => {
    heard.push(data);
    document.querySelector("#other-tab")?.click();
  };
}
