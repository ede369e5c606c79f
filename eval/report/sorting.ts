/**
 * Script of the page: turns table headers into buttons that sort the rows of the body. Undefined values stay at the
 * end. Without script the headers are plain text.
 */
export const SORTING_SCRIPT = `
for (const table of document.querySelectorAll('table[data-sortable]')) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    if (column === 0) return cell.textContent;
    const text = cell.dataset.value ?? cell.textContent;
    return text === '' ? null : Number(text);
  };
  heads.forEach((head, column) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener('click', () => {
      const last = head.getAttribute('aria-sort');
      const order = last === 'ascending' ? 'descending' : last === 'descending' ? 'ascending' : column === 0 ? 'ascending' : 'descending';
      heads.forEach((other) => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', order);
      const sign = order === 'ascending' ? 1 : -1;
      const rows = [...body.rows].sort((one, other) => {
        const [a, b] = [valueOf(one, column), valueOf(other, column)];
        if (a === null || b === null) return (a === null) - (b === null);
        return sign * (column === 0 ? a.localeCompare(b) : a - b);
      });
      body.append(...rows);
    });
  });
}
`;
