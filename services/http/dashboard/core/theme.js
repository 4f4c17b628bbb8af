// Dark, light, or as the system has it; what somebody chose is remembered in the browser.
const key = 'task-runner.theme';
export const themes = ['system', 'light', 'dark'];

/** What was chosen; 'system' where nothing was, or where the browser remembers nothing. */
export function chosen_theme() {
  try {
    const theme = localStorage.getItem(key);
    return themes.includes(theme) ? theme : 'system';
  } catch {
    return 'system';
  }
}

/** Shows a theme, and remembers it where that is possible. */
export function choose_theme(theme) {
  if (theme === 'system')
    delete document.documentElement.dataset.theme;
  else
    document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(key, theme);
  } catch {
    // A browser that keeps nothing for pages shows the choice until it is left: there is nobody to tell.
  }
  dispatchEvent(new Event('themechange'));
}

/** The value of a colour of tokens.css as it is now, for what is drawn on a canvas. */
export function colour(name) {
  const probe = document.createElement('i');
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}
