import { byId } from './dom.js'

/** On a narrow screen the watch list is a drawer: opened by its button, closed by choosing, Escape or a tap beside it. */
export class Drawer {
  readonly #button = byId<HTMLButtonElement>('open-list')
  readonly #drawer = byId('watch')
  readonly #shade = byId('shade')
  readonly #board = byId('board')
  readonly #narrow = matchMedia('(max-width: 860px)')
  #open = false

  constructor(onOpened: () => void) {
    this.#button.addEventListener('click', () => {
      this.#set(!this.#open)
      if (this.#open) onOpened()
    })
    this.#shade.addEventListener('click', () => this.close())
    document.addEventListener('keydown', (event) => event.key === 'Escape' && this.close())
    this.#narrow.addEventListener('change', () => this.#set(false))
    this.#set(false)
  }

  /** Closes it and gives the focus back to its button. */
  close(): void {
    if (!this.#open) return
    this.#set(false)
    this.#button.focus()
  }

  #set(open: boolean): void {
    this.#open = open
    this.#drawer.classList.toggle('open', open)
    this.#shade.hidden = !open
    this.#button.setAttribute('aria-expanded', String(open))
    // What is behind the drawer, or beyond the edge, takes no focus.
    this.#board.inert = open
    this.#drawer.inert = this.#narrow.matches && !open
  }
}
