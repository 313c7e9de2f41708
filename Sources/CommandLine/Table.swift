/// Rows in aligned columns under a header.
///
/// Rows may come in several lots: the header is shown once, and columns only grow.
struct Table {
    /// One field of a row.
    struct Cell: ExpressibleByStringLiteral {
        let text: String
        var style = Style.plain

        init(_ text: String, style: Style = .plain) {
            self.text = Display.oneLine(text)
            self.style = style
        }

        init(stringLiteral text: String) {
            self.init(text)
        }
    }

    private let columns: [String]
    private let isColourful: Bool
    private var widths: [Int]
    private var hasHeader = false

    init(_ columns: [String], isColourful: Bool = Terminal.isColourful) {
        self.columns = columns.map { $0.uppercased() }
        self.isColourful = isColourful
        widths = self.columns.map(Display.width)
    }

    /// Prints these rows.
    mutating func print(_ rows: [[Cell]]) {
        Swift.print(text(rows), terminator: "")
    }

    /// The lines of these rows, after the header if it was not shown before.
    mutating func text(_ rows: [[Cell]]) -> String {
        for row in rows {
            for (column, cell) in row.enumerated() {
                widths[column] = max(widths[column], Display.width(cell.text))
            }
        }
        var text = ""
        if !hasHeader {
            hasHeader = true
            text += line(columns.map { Cell($0, style: .bold) })
        }
        return rows.reduce(into: text) { $0 += line($1) }
    }

    private func line(_ row: [Cell]) -> String {
        var line = ""
        var gap = 0
        for (width, cell) in zip(widths, row) {
            // The gap comes before the next field, so that no line ends in spaces.
            if !cell.text.isEmpty {
                line += String(repeating: " ", count: gap)
                line += isColourful ? cell.style.apply(to: cell.text) : cell.text
                gap = 0
            }
            gap += width - Display.width(cell.text) + 2
        }
        return line + "\n"
    }
}

/// How a terminal shows a piece of text.
enum Style {
    case plain, bold, dim, green, yellow, red

    func apply(to text: String) -> String {
        switch self {
        case .plain: text
        case .bold: "\u{1b}[1m\(text)\u{1b}[0m"
        case .dim: "\u{1b}[2m\(text)\u{1b}[0m"
        case .green: "\u{1b}[32m\(text)\u{1b}[0m"
        case .yellow: "\u{1b}[33m\(text)\u{1b}[0m"
        case .red: "\u{1b}[31m\(text)\u{1b}[0m"
        }
    }
}

extension Table.Cell {
    /// The status of a resource: with a symbol and colour on a terminal, else as it is.
    init(status: String, isColourful: Bool = Terminal.isColourful) {
        let (symbol, style): (String, Style) =
            switch status {
            case "active": ("●", .green)
            case "draft": ("○", .dim)
            case "winner_declared": ("★", .yellow)
            case "ended": ("■", .plain)
            case "archived": ("▪", .dim)
            default: (" ", .plain)
            }
        self.init(isColourful ? "\(symbol) \(status)" : status, style: style)
    }
}
