// The one place that knows which library draws: Preact with htm's templates, which the build puts together as one module.
export {
  html, render, Fragment, Component, createContext, useState, useReducer, useEffect, useLayoutEffect, useRef,
  useMemo, useCallback, useContext, useErrorBoundary,
} from '../vendor/htm-preact.js';

import { useMemo } from '../vendor/htm-preact.js';

let ids = 0;
/** An id for an element that another one names: no other one of the page has it. Preact's own repeats itself in lists. */
export const useId = () => useMemo(() => `part-${++ids}`, []);
