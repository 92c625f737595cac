// Drawn people and a drawn slide in the place of cameras and screens, for pictures of the apps.

/** The function is sent to the browser as text: it can use nothing from outside itself. */
export function drawInstead({ look }) {
  const [WIDTH, HEIGHT] = [1280, 720];

  function canvasStream(width, height, draw) {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [width, height];
    const pen = canvas.getContext('2d');
    let turn = 0;
    draw(pen, 0);
    setInterval(() => draw(pen, (turn += 1)), 66);
    return canvas.captureStream(15);
  }

  const round = (pen, x, y, width, height, radius, colour) => {
    pen.fillStyle = colour;
    pen.beginPath();
    pen.roundRect(x, y, width, height, radius);
    pen.fill();
  };
  const oval = (pen, x, y, width, height, colour) => {
    pen.fillStyle = colour;
    pen.beginPath();
    pen.ellipse(x, y, width, height, 0, 0, 2 * Math.PI);
    pen.fill();
  };

  function room(pen) {
    const wall = pen.createLinearGradient(0, 0, WIDTH, HEIGHT);
    wall.addColorStop(0, look.wall[0]);
    wall.addColorStop(1, look.wall[1]);
    pen.fillStyle = wall;
    pen.fillRect(0, 0, WIDTH, HEIGHT);
    // A shelf with books, a picture, and a lamp's light.
    round(pen, 80, 180, 270, 14, 4, 'rgb(0 0 0 / 22%)');
    [46, 78, 62, 90, 70, 84, 58].forEach((tall, i) =>
      round(pen, 96 + i * 34, 180 - tall, 24, tall, 4, look.books[i % look.books.length]));
    round(pen, 960, 90, 210, 150, 8, 'rgb(255 255 255 / 30%)');
    round(pen, 976, 106, 178, 118, 4, look.books[0]);
    oval(pen, 1108, 190, 34, 34, look.books[1]);
    const light = pen.createRadialGradient(640, 260, 40, 640, 260, 620);
    light.addColorStop(0, 'rgb(255 244 220 / 34%)');
    light.addColorStop(1, 'rgb(255 244 220 / 0%)');
    pen.fillStyle = light;
    pen.fillRect(0, 0, WIDTH, HEIGHT);
  }

  function person(pen, turn) {
    const sway = Math.sin(turn / 14) * 7;
    const x = WIDTH / 2 + sway;
    const { skin, hair, shirt, long } = look;
    if (long) round(pen, x - 158, 190, 316, 350, 140, hair);
    round(pen, x - 300, 560, 600, 330, 170, shirt);
    round(pen, x - 62, 470, 124, 150, 50, skin);
    oval(pen, x, 600, 92, 42, skin);
    oval(pen, x, 350, 132, 168, skin);
    oval(pen, x - 132, 360, 22, 34, skin);
    oval(pen, x + 132, 360, 22, 34, skin);
    pen.fillStyle = hair;
    pen.beginPath();
    pen.ellipse(x, 290, 146, 134, 0, Math.PI, 2 * Math.PI);
    pen.ellipse(x + 40, 290, 106, 50, 0, 0, Math.PI * 0.6);
    pen.ellipse(x - 60, 280, 86, 46, 0, Math.PI * 0.3, Math.PI);
    pen.fill();
    const isBlink = turn % 60 < 2;
    for (const side of [-50, 50]) {
      oval(pen, x + side, 356, 13, isBlink ? 2 : 15, '#2a211c');
      round(pen, x + side - 26, 318, 52, 9, 5, hair);
    }
    oval(pen, x, 408, 14, 20, 'rgb(0 0 0 / 9%)');
    const open = 6 + Math.abs(Math.sin(turn / 3)) * 14;
    pen.fillStyle = '#8f3b36';
    pen.beginPath();
    pen.ellipse(x, 446, 44, open, 0, 0, Math.PI);
    pen.fill();
    if (look.glasses) {
      pen.strokeStyle = '#33302c';
      pen.lineWidth = 7;
      for (const side of [-50, 50]) {
        pen.beginPath();
        pen.arc(x + side, 358, 40, 0, 2 * Math.PI);
        pen.stroke();
      }
      pen.fillStyle = '#33302c';
      pen.fillRect(x - 11, 352, 22, 7);
    }
  }

  function slide(pen) {
    pen.fillStyle = '#fffdf8';
    pen.fillRect(0, 0, WIDTH, HEIGHT);
    pen.fillStyle = '#1f2a2a';
    pen.font = '600 54px "DejaVu Sans", sans-serif';
    pen.fillText('The garden, this year', 90, 130);
    pen.font = '28px "DejaVu Sans", sans-serif';
    pen.fillStyle = '#5d6664';
    pen.fillText('Kilograms picked, by month', 90, 180);
    [120, 210, 330, 420, 360, 240, 150].forEach((tall, i) => {
      round(pen, 110 + i * 160, 620 - tall, 96, tall, 10, i === 3 ? '#d0752f' : '#0c6a5d');
      pen.fillStyle = '#5d6664';
      pen.fillText(['Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct'][i], 130 + i * 160, 664);
    });
  }

  const { getUserMedia } = navigator.mediaDevices;
  navigator.mediaDevices.getUserMedia = async (constraints) => {
    const stream = constraints.audio
      ? await getUserMedia.call(navigator.mediaDevices, { audio: constraints.audio })
      : new MediaStream();
    if (constraints.video) {
      const drawn = canvasStream(WIDTH, HEIGHT, (pen, turn) => {
        room(pen);
        person(pen, turn);
      });
      drawn.getTracks().forEach((track) => stream.addTrack(track));
    }
    return stream;
  };
  navigator.mediaDevices.getDisplayMedia = async () => canvasStream(WIDTH, HEIGHT, slide);
}

export const LOOKS = [
  {
    wall: ['#c8b79c', '#8f7f68'], books: ['#38605a', '#d9a441', '#8c4a3c'],
    skin: '#f0c9a5', hair: '#4a2f22', shirt: '#2f6f8f', long: true,
  },
  {
    wall: ['#9fb4bd', '#5f7782'], books: ['#c46a4a', '#f0e0b8', '#3f5168'],
    skin: '#8d5a3b', hair: '#1f1713', shirt: '#d9a441', glasses: true,
  },
  {
    wall: ['#b9c4a8', '#71805f'], books: ['#6b4a7c', '#e0c8a0', '#3f6b52'],
    skin: '#e3b38c', hair: '#b5622e', shirt: '#7a3f5c', long: true, glasses: true,
  },
  {
    wall: ['#cdb3b3', '#86656a'], books: ['#365a73', '#f2d8b0', '#a2553f'],
    skin: '#c78e64', hair: '#2c2320', shirt: '#e9e4da',
  },
];
