/** Dark or light: what the system prefers until the viewer says otherwise; that is remembered. */

const KEY = 'candlewick-theme'

export type Theme = 'dark' | 'light'

/** Wires the switch. `onChange` is called whenever the colours changed, by the switch or by the system. */
export function themeSwitch(button: HTMLButtonElement, onChange: () => void): void {
  const systemDark = matchMedia('(prefers-color-scheme: dark)')
  let chosen = remembered()
  const theme = (): Theme => chosen ?? (systemDark.matches ? 'dark' : 'light')
  const apply = () => {
    const other = theme() === 'dark' ? 'light' : 'dark'
    document.documentElement.dataset['theme'] = theme()
    button.setAttribute('aria-label', `Switch to ${other} colours`)
    button.title = `Switch to ${other} colours`
  }
  button.addEventListener('click', () => {
    chosen = theme() === 'dark' ? 'light' : 'dark'
    remember(chosen)
    apply()
    onChange()
  })
  systemDark.addEventListener('change', () => {
    apply()
    onChange()
  })
  apply()
}

function remembered(): Theme | undefined {
  try {
    const theme = localStorage.getItem(KEY)
    return theme === 'dark' || theme === 'light' ? theme : undefined
  } catch {
    return undefined // storage may be forbidden: then the choice lasts as long as the page
  }
}

function remember(theme: Theme): void {
  try {
    localStorage.setItem(KEY, theme)
  } catch {
    // forbidden: nothing to remember it in
  }
}
