// Before the first paint, so that nobody sees a flash of the other theme: what the person chose, else what the system prefers.
try {
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is off: the system's preference stands.
}
