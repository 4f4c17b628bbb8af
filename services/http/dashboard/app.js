// The dashboard: its frame, its pages, and what is open over them. How it is put together:
//   core/        requests, the stream of events, the address, keys, words and numbers; nothing here draws a page
//   components/  what pages share
//   pages/       one file per page; it takes {path, query} of the address, which holds all that it is set to
//   style/       tokens.css alone names colours
//   vendor/      Preact with htm, uPlot and ansi_up, put there by the build
import { Fragment, html, render, useEffect, useErrorBoundary, useRef, useState } from './core/html.js';
import { begin_live, useConnection } from './core/live.js';
import { go, link, useLocation } from './core/router.js';
import { keys_of_now, useKeys } from './core/keyboard.js';
import { choose_theme, chosen_theme, themes } from './core/theme.js';
import { Dialog, Empty, PageHead } from './components/basics.js';
import { Icon } from './components/icons.js';
import { Notices, Question } from './components/notices.js';
import { PushDialog } from './components/push_dialog.js';
import { Overview } from './pages/overview.js';
import { Channels } from './pages/channels.js';
import { Tasks } from './pages/tasks.js';
import { Task } from './pages/task.js';
import { Workers } from './pages/workers.js';
import { DeadLetters } from './pages/dead_letters.js';
import { Actors } from './pages/actors.js';

/** The pages, in the order of the navigation; `key` goes to one after "g". */
const pages = [
  { path: '', title: 'Overview', icon: 'overview', key: 'o', show: Overview },
  { path: 'channels', title: 'Channels', icon: 'channels', key: 'c', show: Channels },
  { path: 'tasks', title: 'Tasks', icon: 'tasks', key: 't', show: Tasks },
  { path: 'workers', title: 'Workers', icon: 'workers', key: 'w', show: Workers },
  { path: 'dead-letters', title: 'Dead letters', icon: 'dead', key: 'd', show: DeadLetters },
  { path: 'actors', title: 'Actors', icon: 'actors', key: 'a', show: Actors },
];

function Navigation({ current }) {
  const place = useRef(null);
  // On a narrow screen the names stand in a row that is wider than it.
  useEffect(() => {
    const { offsetLeft, offsetWidth } = place.current.querySelector('[aria-current]') ?? place.current;
    place.current.scrollLeft = offsetLeft - place.current.offsetLeft - (place.current.clientWidth - offsetWidth) / 2;
  }, [current]);
  return html`<nav aria-label="Pages" ref=${place}><ul>
  ${pages.map(({ path, title, icon }) => html`<li key=${path}><a href=${link(path ? [path] : [])} aria-current=${path === current ? 'page' : undefined}>
    <${Icon} name=${icon} />${title}</a></li>`)}
</ul></nav>`;
}

const connection_words = { connecting: 'connecting …', open: 'live', lost: 'not connected' };

function Side({ current, help }) {
  const connection = useConnection();
  const [theme, set_theme] = useState(chosen_theme());
  const next_theme = themes[(themes.indexOf(theme) + 1) % themes.length];
  return html`<header class="side">
    <a class="brand" href=${link([])}><img src="dashboard/icon.svg" alt="" />TaskRunner</a>
    <${Navigation} current=${current} />
    <div class="side-foot">
      <div class="connection ${connection}" role="status"><i aria-hidden="true"></i>${connection_words[connection]}</div>
      <div>
        <button class="plain" title="Theme: ${theme}. Press for ${next_theme}." aria-label="Theme: ${theme}; change to ${next_theme}"
          onClick=${() => { choose_theme(next_theme); set_theme(next_theme); }}><${Icon} name="theme" /></button>
        <button class="plain" title="Keys" aria-label="Show the keys" onClick=${help}><${Icon} name="help" /></button>
      </div>
    </div>
  </header>`;
}

function Help({ close }) {
  return html`<${Dialog} title="Keys" close=${close}><div class="dialog-body">
    <dl class="key-list">${keys_of_now().map(({ key, does }) => html`<${Fragment} key=${key}>
      <dt>${key.split(' ').map((one) => html`<kbd>${one}</kbd> `)}</dt><dd>${does}</dd><//>`)}</dl>
    <p class="soft">All of it can be scripted: <a href="api/v1/openapi.json">the API's document</a>, and <code>task-runner help</code>.
      <a href="dashboard/vendor/licences.txt"> Licences of the libraries in this page.</a></p>
  </div><//>`;
}

function Page({ path, query }) {
  const [failure, reset] = useErrorBoundary((error) => console.error(error));
  if (failure)
    return html`<div class="banner failure" role="alert"><span>This page has a fault: ${String(failure.message ?? failure)}</span>
      <button class="button" onClick=${reset}>Draw it again</button></div>`;
  if (path[0] === 'tasks' && path.length > 1)
    return html`<${Task} key=${path[1]} id=${path[1]} query=${query} />`;
  const page = pages.find((one) => one.path === (path[0] ?? ''));
  if (!page || path.length > 1)
    return html`<${PageHead} title="No such page" /><${Empty} title="There is nothing at this address.">
      <a href=${link([])}>Go to the overview</a><//>`;
  return html`<${page.show} path=${path} query=${query} />`;
}

function App() {
  const { path, query } = useLocation();
  // What "Push a task" begins with; null while it is closed.
  const [pushing, set_pushing] = useState(null);
  const [helping, set_helping] = useState(false);
  useKeys([
    { key: 'n', does: 'push a new task', run: () => set_pushing({}) },
    { key: '?', does: 'show these keys', run: () => set_helping(true) },
    ...pages.map(({ path: to, title, key }) => ({ key: `g ${key}`, does: `go to ${title}`, run: () => go(link(to ? [to] : [])) })),
  ]);
  // Any page may ask for the dialog, with a task to begin with: open_push() of components/push_dialog.js.
  useEffect(() => {
    const open = ({ detail }) => set_pushing(detail);
    addEventListener('push-task', open);
    return () => removeEventListener('push-task', open);
  }, []);
  const current = path[0] ?? '';
  return html`<a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.getElementById('main').focus(); }}>Skip to the page</a>
    <div class="frame">
      <${Side} current=${current} help=${() => set_helping(true)} />
      <main class="main" id="main" tabindex="-1"><${Page} key=${path.join('/')} path=${path} query=${query} /></main>
    </div>
    ${pushing && html`<${PushDialog} given=${pushing} close=${() => set_pushing(null)} />`}
    ${helping && html`<${Help} close=${() => set_helping(false)} />`}
    <${Question} /><${Notices} />`;
}

choose_theme(chosen_theme());
begin_live();
const place = document.getElementById('app');
place.replaceChildren();
render(html`<${App} />`, place);
