/**
 * The concepts that the bundled model is taught: the words for each, and the artworks that show it.
 *
 * `words`: singular first, then the plural, then synonyms.
 * `emoji`: icon names by Unicode's short names, looked up in every emoji package.
 * `more`: icons of packages that name theirs otherwise, as `package:icon icon ...`.
 */

/**
 * @typedef {object} Concept
 * @property {string} name the class
 * @property {string} plural
 * @property {string[]} synonyms
 * @property {string[]} emoji
 * @property {Record<string, string[]>} more icons by package
 */

/**
 * @param {string} words name, plural, synonyms; separated by commas
 * @param {string} emoji
 * @param {string} [more]
 * @returns {Concept}
 */
function concept(words, emoji, more = '') {
  const [name = '', plural = '', ...synonyms] = words.split(', ')
  /** @type {Record<string, string[]>} */
  const icons = {}
  for (const part of more.split('; ').filter(Boolean)) {
    const [set = '', list = ''] = part.split(':')
    icons[set] = list.split(' ')
  }
  return { name, plural, synonyms, emoji: emoji.split(' '), more: icons }
}

/** Words that are offered, and trained, for what is no object. */
export const BACKGROUND_WORDS = [
  'background',
  'nothing',
  'texture',
  'wall',
  'sky',
  'grass',
  'ground',
  'floor',
  'water',
  'pattern',
]

/** @type {readonly Concept[]} */
export const CONCEPTS = [
  concept(
    'dog, dogs, puppy',
    'dog dog-face',
    'fxemoji:dog dogside; streamline-emojis:dog; icon-park:dog; streamline-cyber-color:dog-1; streamline-plump-color:dog-1 dog-1-flat; streamline-flex-color:dog-1 dog-1-flat',
  ),
  concept(
    'cat, cats, kitten',
    'cat cat-face',
    'fxemoji:cat catside; streamline-emojis:cat; icon-park:cat; streamline-cyber-color:cat-2; streamline-color:cat-1 cat-1-flat; streamline-flex-color:cat-2 cat-2-flat',
  ),
  concept('lion, lions', 'lion lion-face'),
  concept(
    'horse, horses, pony',
    'horse horse-face',
    'fxemoji:horse horseface; streamline-emojis:horse',
  ),
  concept('cow, cows', 'cow cow-face', 'fxemoji:cow cowface; streamline-emojis:cow'),
  concept('pig, pigs', 'pig pig-face', 'fxemoji:pig pigside; streamline-emojis:pig'),
  concept(
    'rabbit, rabbits, bunny',
    'rabbit rabbit-face',
    'fxemoji:bunny bunnyside; streamline-emojis:rabbit; icon-park:rabbit; streamline-sharp-color:rabbit rabbit-flat',
  ),
  concept(
    'elephant, elephants',
    'elephant',
    'fxemoji:elephant; streamline-emojis:elephant; icon-park:elephant; streamline-cyber-color:elephant; streamline-ultimate-color:circus-elephant',
  ),
  concept('panda, pandas', 'panda panda-face', 'fxemoji:pandaface; icon-park:panda'),
  concept('penguin, penguins', 'penguin', 'fxemoji:penguin; streamline-emojis:penguin-1 penguin-2'),
  concept('owl, owls', 'owl', 'icon-park:owl'),
  concept('rooster, roosters', 'rooster', 'fxemoji:rooster; streamline-emojis:rooster'),
  concept('frog, frogs', 'frog frog-face', 'fxemoji:frog; icon-park:frog'),
  concept('turtle, turtles, tortoise', 'turtle', 'fxemoji:turtle; streamline-emojis:turtle'),
  concept('snake, snakes', 'snake', 'fxemoji:snake; streamline-emojis:snake'),
  concept(
    'whale, whales',
    'whale spouting-whale',
    'fxemoji:whale spurtingwhale; streamline-emojis:spouting-whale; icon-park:whale; streamline-cyber-color:whale',
  ),
  concept(
    'fish, fish',
    'fish tropical-fish',
    'fxemoji:fish tropicalfish; streamline-emojis:tropical-fish; icon-park:fish fish-one; streamline-plump-color:fish fish-flat',
  ),
  concept(
    'octopus, octopuses',
    'octopus',
    'fxemoji:octopus; streamline-emojis:octopus; streamline-color:octopus octopus-flat',
  ),
  concept('crab, crabs', 'crab', 'icon-park:crab'),
  concept('snail, snails', 'snail', 'fxemoji:snail; streamline-emojis:snail'),
  concept('butterfly, butterflies', 'butterfly', 'icon-park:butterfly'),
  concept('bee, bees', 'honeybee', 'fxemoji:honeybee; streamline-emojis:honeybee; icon-park:bee'),
  concept(
    'tree, trees',
    'deciduous-tree evergreen-tree',
    'fxemoji:deciduoustree evergreen; icon-park:tree tree-one tree-two; streamline-plump-color:tree-1 tree-1-flat; streamline-color:tree-2 tree-2-flat tree-3 tree-3-flat; streamline-flex-color:pine-tree pine-tree-flat; streamline-sharp-color:tree-3 tree-3-flat',
  ),
  concept(
    'cactus, cacti',
    'cactus',
    'fxemoji:cactus; streamline-emojis:cactus-1 cactus-2; icon-park:cactus',
  ),
  concept(
    'rose, roses',
    'rose',
    'fxemoji:rose; streamline-emojis:rose; streamline-color:rose rose-flat; streamline-cyber-color:rose-2',
  ),
  concept(
    'sunflower, sunflowers',
    'sunflower',
    'fxemoji:sunflower; streamline-emojis:sunflower-1 sunflower-2',
  ),
  concept('mushroom, mushrooms', 'mushroom', 'fxemoji:mushroom; streamline-emojis:mushroom'),
  concept('grapes, bunches of grapes, grape', 'grapes', 'fxemoji:grapes; streamline-emojis:grapes'),
  concept(
    'watermelon, watermelons',
    'watermelon',
    'fxemoji:watermelon; streamline-emojis:watermelon-1 watermelon-2; icon-park:watermelon watermelon-one; streamline-cyber-color:watermelon; streamline-ultimate-color:fruit-watermelon',
  ),
  concept(
    'banana, bananas',
    'banana',
    'fxemoji:banana; icon-park:banana; streamline-ultimate-color:fruit-banana',
  ),
  concept('pineapple, pineapples', 'pineapple', 'fxemoji:pineapple; icon-park:pineapple'),
  concept(
    'apple, apples',
    'red-apple green-apple',
    'fxemoji:redapple greenapple; streamline-emojis:red-apple; icon-park:apple-one; streamline-cyber-color:apple-2; streamline-color:apple apple-flat; streamline-flex-color:apple apple-flat; streamline-sharp-color:apple apple-flat',
  ),
  concept(
    'cherries, pairs of cherries, cherry',
    'cherries',
    'fxemoji:cherries; streamline-emojis:cherries; icon-park:cherry; streamline-plump-color:cherries cherries-flat; streamline-color:cherries cherries-flat; streamline-ultimate-color:fruit-cherry',
  ),
  concept(
    'strawberry, strawberries',
    'strawberry',
    'fxemoji:strawberry; streamline-emojis:strawberry-1 strawberry-2; streamline-plump-color:strawberry strawberry-flat; streamline-color:strawberry strawberry-flat',
  ),
  concept(
    'carrot, carrots',
    'carrot',
    'icon-park:carrot; streamline-flex-color:carrot carrot-flat',
  ),
  concept('corn, ears of corn, maize', 'ear-of-corn', 'fxemoji:earofmaize'),
  concept(
    'hamburger, hamburgers, burger',
    'hamburger',
    'fxemoji:hamburger; streamline-emojis:hamburger-1 hamburger-2 hamburger-3; icon-park:hamburger hamburger-one; streamline-plump-color:burger burger-flat; streamline-color:burger burger-flat',
  ),
  concept(
    'french fries, portions of french fries, fries',
    'french-fries',
    'fxemoji:frenchfries; streamline-emojis:french-fries; icon-park:french-fries; streamline-cyber-color:french-fries; streamline-ultimate-color:fast-food-french-fries',
  ),
  concept(
    'pizza, pizzas',
    'pizza',
    'fxemoji:sliceofpizza; streamline-emojis:pizza-1 pizza-2; streamline-cyber-color:pizza',
  ),
  concept(
    'ice cream, ice creams',
    'ice-cream soft-ice-cream',
    'fxemoji:icecream softicecream; streamline-emojis:soft-ice-cream-1 soft-ice-cream-2; icon-park:icecream icecream-one icecream-two icecream-three; streamline-cyber-color:icecream-cone; streamline-ultimate-color:ice-cream-cone; streamline-plump-color:ice-cream-2 ice-cream-2-flat; streamline-color:ice-cream-2 ice-cream-3 ice-cream-2-flat; streamline-flex-color:ice-cream-2 ice-cream-2-flat; streamline-sharp-color:ice-cream-1 ice-cream-1-flat; flat-ui:icecream',
  ),
  concept(
    'doughnut, doughnuts, donut',
    'doughnut',
    'fxemoji:doughnut; streamline-emojis:doughnut-1 doughnut-2; streamline-color:donut donut-flat; flat-ui:donut',
  ),
  concept(
    'cake, cakes',
    'birthday-cake shortcake',
    'fxemoji:birthdaycake shortcake; streamline-emojis:birthday-cake-1 birthday-cake-2 birthday-cake-3 shortcake-1 shortcake-2; icon-park:birthday-cake cake cake-one cake-two; streamline-plump-color:cake-slice cake-slice-flat; streamline-color:cake-slice cake-slice-flat; streamline-flex-color:cake-slice cake-slice-flat; streamline-sharp-color:cake cake-flat',
  ),
  concept(
    'beer, beers, mug of beer',
    'beer-mug clinking-beer-mugs',
    'fxemoji:beermug clinkingbeermugs; streamline-emojis:beer-mug clinking-beer-mugs; icon-park:beer-mug beer; streamline-color:beer-mug beer-mug-flat',
  ),
  concept(
    'coffee, coffees, cup of coffee',
    'hot-beverage',
    'fxemoji:hotbeverage; streamline-emojis:hot-beverage-1 hot-beverage-2; streamline-plump-color:coffee-mug coffee-mug-flat; streamline-color:coffee-mug coffee-mug-flat; streamline-cyber-color:coffee-cup-hot-2',
  ),
  concept(
    'globe, globes, planet earth',
    'globe-showing-americas globe-showing-asia-australia globe-showing-europe-africa',
    'fxemoji:americasglobe asiaaustraliaglobe europeafricaglobe; streamline-emojis:globe-showing-americas globe-showing-europe-africa; icon-park:earth; streamline-plump-color:earth-1 earth-1-flat; streamline-color:earth-1 earth-1-flat; streamline-flex-color:earth-1 earth-1-flat; streamline-sharp-color:earth-2 earth-2-flat',
  ),
  concept(
    'volcano, volcanoes',
    'volcano',
    'streamline-color:volcano volcano-flat; streamline-ultimate-color:natural-disaster-volcano',
  ),
  concept(
    'house, houses, home',
    'house house-with-garden',
    'fxemoji:housebuilding housewithgarden; streamline-emojis:house-with-garden; icon-park:home home-two; streamline-ultimate-color:house-4 house-chimney; streamline-plump-color:home-1 home-1-flat; streamline-color:home-3 home-4 home-3-flat; streamline-flex-color:home-2 home-2-flat; streamline-sharp-color:home-1 home-1-flat; streamline-freehand-color:home home-chimney-2; flat-color-icons:home; fluent-color:home-48',
  ),
  concept(
    'train, trains',
    'train high-speed-train locomotive bullet-train',
    'fxemoji:train highspeedtrain highspeedtrainbulletnose steamlocomotive; streamline-emojis:bullet-train locomotive; icon-park:train; streamline-plump-color:high-speed-train-side high-speed-train-side-flat; streamline-color:high-speed-train-front high-speed-train-front-flat; streamline-flex-color:high-speed-train-front high-speed-train-front-flat; streamline-cyber-color:train-2',
  ),
  concept(
    'bus, buses',
    'bus oncoming-bus',
    'fxemoji:bus oncomingbus; streamline-emojis:bus; icon-park:bus bus-one bus-two; streamline-ultimate-color:bus-1; streamline-plump-color:bus bus-flat; streamline-color:bus school-bus-side bus-flat school-bus-side-flat; streamline-flex-color:school-bus-side school-bus-side-flat; streamline-sharp-color:school-bus-side school-bus-side-flat; streamline-cyber-color:bus-2',
  ),
  concept(
    'car, cars, automobile',
    'automobile oncoming-automobile',
    'fxemoji:automobile oncomingautomobile; streamline-emojis:automobile; icon-park:car; streamline-ultimate-color:car-4 car-retro; streamline-sharp-color:car-2 car-2-flat; streamline-cyber-color:car-4',
  ),
  concept(
    'bicycle, bicycles, bike',
    'bicycle',
    'fxemoji:bicycle; streamline-emojis:bicycle; icon-park:bike; streamline-ultimate-color:bicycle; streamline-plump-color:bicycle-bike bicycle-bike-flat; streamline-color:bicycle-bike bicycle-bike-flat; streamline-flex-color:bicycle-bike bicycle-bike-flat; streamline-cyber-color:bicycle-1',
  ),
  concept(
    'sailboat, sailboats',
    'sailboat',
    'streamline-emojis:sailboat; icon-park:sailboat sailboat-one; streamline-plump-color:sail-ship sail-ship-flat; streamline-color:sail-ship sail-ship-flat',
  ),
  concept(
    'airplane, airplanes, plane',
    'airplane',
    'fxemoji:airplane; streamline-emojis:airplane; icon-park:airplane; streamline-color:airplane airport-plane airplane-flat airport-plane-flat; streamline-flex-color:airport-plane airport-plane-flat; streamline-cyber-color:airplane',
  ),
  concept(
    'helicopter, helicopters',
    'helicopter',
    'fxemoji:helicopter; streamline-emojis:helicopter',
  ),
  concept(
    'rocket, rockets',
    'rocket',
    'fxemoji:rocket; streamline-emojis:rocket; icon-park:rocket rocket-one; streamline-flex-color:rocket rocket-flat',
  ),
  concept(
    'traffic light, traffic lights',
    'vertical-traffic-light horizontal-traffic-light',
    'fxemoji:verticaltrafficlight horizontaltrafficlight; streamline-emojis:vertical-traffic-light; streamline-plump-color:traffic-light traffic-light-flat; streamline-sharp-color:traffic-light traffic-light-flat; streamline-cyber-color:traffic-light',
  ),
  concept(
    'anchor, anchors',
    'anchor',
    'fxemoji:anchor; streamline-emojis:anchor; icon-park:anchor-two; streamline-color:anchor anchor-flat; streamline-flex-color:anchor anchor-flat',
  ),
  concept('stop sign, stop signs', 'stop-sign', 'streamline-ultimate-color:road-sign-stop'),
  concept(
    'sun, suns',
    'sun sun-with-face',
    'fxemoji:sunrays sunwithface whitesun; icon-park:sun sun-one; streamline-ultimate-color:weather-sun; streamline-plump-color:sun sun-flat; streamline-flex-color:sun sun-flat; streamline-sharp-color:sun sun-flat; streamline-stickies-color:sun sun-duo; streamline-cyber-color:sun; meteocons:clear-day clear-day-fill',
  ),
  concept(
    'star, stars',
    'star glowing-star',
    'fxemoji:star; icon-park:star; streamline-ultimate-color:rating-star; streamline-color:star-1 star-2 star-1-flat; streamline-sharp-color:star-2 star-2-flat; streamline-stickies-color:star star-duo; meteocons:star star-fill; fluent-color:star-48',
  ),
  concept(
    'cloud, clouds',
    'cloud',
    'fxemoji:cloud; streamline-emojis:cloud-1 cloud-2; streamline-color:cloud cloud-flat; streamline-flex-color:cloud cloud-flat; streamline-cyber-color:cloud; meteocons:cloudy cloudy-fill; fluent-color:cloud-48',
  ),
  concept('rainbow, rainbows', 'rainbow', 'streamline-color:rainbow rainbow-flat'),
  concept(
    'umbrella, umbrellas',
    'umbrella umbrella-with-rain-drops',
    'fxemoji:umbrella umbrellawithraindrops; streamline-emojis:umbrella umbrella-with-rain-drops; icon-park:umbrella umbrella-one; streamline-ultimate-color:rain-umbrella-1; streamline-plump-color:open-umbrella open-umbrella-flat; streamline-color:open-umbrella open-umbrella-flat; streamline-flex-color:open-umbrella open-umbrella-flat; streamline-cyber-color:umbrella-rain; meteocons:umbrella umbrella-fill',
  ),
  concept(
    'snowflake, snowflakes',
    'snowflake',
    'fxemoji:snowflake; streamline-emojis:snowflake; icon-park:snowflake; meteocons:snowflake snowflake-fill; fluent-color:weather-snowflake-48',
  ),
  concept(
    'snowman, snowmen',
    'snowman snowman-without-snow',
    'fxemoji:snowmanwithoutsnow; streamline-emojis:snowman; icon-park:snowman; meteocons:snowman snowman-fill; streamline-stickies-color:snowman snowman-duo',
  ),
  concept('fire, fires, flame', 'fire', 'fxemoji:fire; streamline-emojis:fire; icon-park:fire'),
  concept(
    'pumpkin, pumpkins',
    'jack-o-lantern',
    'fxemoji:jackolantern; streamline-emojis:jack-o-lantern; icon-park:pumpkin',
  ),
  concept(
    'balloon, balloons',
    'balloon',
    'fxemoji:balloon; streamline-emojis:balloon; icon-park:party-balloon; streamline-ultimate-color:party-balloon; streamline-plump-color:balloon balloon-flat; streamline-color:balloon balloon-flat; streamline-flex-color:balloon balloon-flat',
  ),
  concept(
    'gift, gifts, present',
    'wrapped-gift',
    'fxemoji:present; streamline-emojis:wrapped-gift-1 wrapped-gift-2; icon-park:gift; streamline-ultimate-color:gift-box-1; streamline-plump-color:gift gift-flat; streamline-color:gift gift-2 gift-flat; streamline-flex-color:gift-2 gift-2-flat; streamline-sharp-color:gift-2 gift-2-flat; streamline-cyber-color:present-box; flat-ui:gift-box; fluent-color:gift-24',
  ),
  concept(
    'soccer ball, soccer balls, football',
    'soccer-ball',
    'fxemoji:soccerball; icon-park:soccer; streamline-cyber-color:football',
  ),
  concept(
    'basketball, basketballs',
    'basketball',
    'streamline-emojis:basketball; icon-park:basketball; streamline-cyber-color:basketball',
  ),
  concept(
    'glasses, pairs of glasses, eyeglasses',
    'glasses',
    'fxemoji:glasses; streamline-emojis:glasses-1 glasses-2; icon-park:glasses glasses-one; streamline-color:glasses glasses-flat; streamline-sharp-color:glasses glasses-flat; streamline-cyber-color:glasses-4',
  ),
  concept(
    'shirt, shirts, t-shirt',
    't-shirt',
    'fxemoji:mansshirt; streamline-emojis:t-shirt; icon-park:t-shirt; streamline-flex-color:shirt shirt-flat; streamline-sharp-color:shirt shirt-flat',
  ),
  concept(
    'shoe, shoes, sneaker',
    'running-shoe mans-shoe',
    'fxemoji:mensrunner mensshoe; streamline-emojis:running-shoe mans-shoe',
  ),
  concept(
    'crown, crowns',
    'crown',
    'fxemoji:crown; streamline-emojis:crown; icon-park:crown crown-three; streamline-ultimate-color:vip-crown-queen-1; streamline-color:crown crown-flat; streamline-flex-color:crown crown-flat; streamline-cyber-color:crown-2',
  ),
  concept(
    'headphones, pairs of headphones',
    'headphone',
    'fxemoji:headphone; icon-park:headset; streamline-ultimate-color:headphones-1; streamline-freehand-color:headphones-1 headphones-cable; streamline-cyber-color:headphone; fluent-color:headphones-48',
  ),
  concept(
    'guitar, guitars',
    'guitar',
    'fxemoji:guitar; streamline-emojis:guitar; streamline-ultimate-color:modern-music-electric-guitar; streamline-cyber-color:guitar',
  ),
  concept('drum, drums', 'drum', 'streamline-cyber-color:drum-2'),
  concept(
    'laptop, laptops, notebook computer',
    'laptop laptop-computer',
    'icon-park:laptop laptop-one laptop-computer; streamline-ultimate-color:laptop; streamline-plump-color:laptop laptop-flat; streamline-flex-color:laptop laptop-flat; streamline-freehand-color:laptop-computer-1; streamline-cyber-color:laptop-2; fluent-color:laptop-48',
  ),
  concept(
    'camera, cameras',
    'camera camera-with-flash',
    'fxemoji:camera camerawithflash; icon-park:camera; streamline-plump-color:camera-1 camera-1-flat; streamline-color:camera-1 camera-1-flat; streamline-flex-color:camera-1 camera-1-flat; streamline-freehand-color:camera vintage-camera-polaroid; streamline-cyber-color:camera-4; flat-color-icons:camera compact-camera old-time-camera; flat-ui:camera; fluent-color:camera-24',
  ),
  concept(
    'candle, candles',
    'candle',
    'fxemoji:candle; icon-park:spa-candle; streamline-plump-color:candle candle-flat; streamline-sharp-color:candle candle-flat',
  ),
  concept(
    'light bulb, light bulbs',
    'light-bulb',
    'fxemoji:lightbulb; streamline-plump-color:lightbulb lightbulb-flat; streamline-color:lightbulb lightbulb-flat; streamline-flex-color:lightbulb lightbulb-flat; streamline-freehand-color:creativity-idea-bulb; streamline-cyber-color:business-idea-light-bulb; flat-color-icons:idea; flat-ui:bulb; fluent-color:lightbulb-48',
  ),
  concept(
    'book, books',
    'closed-book green-book blue-book orange-book',
    'fxemoji:bluebook closedbook greenbook orangebook openbook books; streamline-emojis:green-book open-book; icon-park:book book-one book-open; streamline-plump-color:book-1 book-1-flat; streamline-color:open-book open-book-flat; streamline-ultimate-color:book-close-bookmark-1 book-book-pages; streamline-freehand-color:book-bookmark; streamline-cyber-color:book-open; flat-ui:book; fluent-color:book-48 book-open-48',
  ),
  concept(
    'key, keys',
    'key old-key',
    'fxemoji:key oldkey; icon-park:key key-one key-two; streamline-color:key key-flat; streamline-stickies-color:key key-duo; streamline-cyber-color:key-2; flat-color-icons:key',
  ),
  concept(
    'scissors, pairs of scissors',
    'scissors',
    'fxemoji:blackscissors; streamline-ultimate-color:scissors-2; streamline-plump-color:scissors scissors-flat; streamline-flex-color:scissors scissors-flat; streamline-cyber-color:scissor-2',
  ),
  concept(
    'pencil, pencils',
    'pencil',
    'fxemoji:pencil lowerleftpencil; icon-park:pencil; streamline-ultimate-color:pencil-1; streamline-color:pencil pencil-flat; streamline-freehand-color:edit-pencil',
  ),
  concept(
    'envelope, envelopes, letter',
    'envelope',
    'fxemoji:envelope backofenvelope; streamline-emojis:e-mail-1 e-mail-2; icon-park:mail; streamline-ultimate-color:envelope-back-front envelope-letter; streamline-stickies-color:mail mail-duo; flat-ui:mail; fluent-color:mail-48',
  ),
  concept(
    'skull, skulls',
    'skull',
    'fxemoji:skull; streamline-emojis:skull; icon-park:skull; streamline-ultimate-color:skull; streamline-plump-color:skull-2 skull-2-flat; streamline-color:skull-1 skull-1-flat; streamline-flex-color:skull-2 skull-2-flat; streamline-sharp-color:skull-2 skull-2-flat; streamline-cyber-color:skull-1',
  ),
  concept(
    'ghost, ghosts',
    'ghost',
    'fxemoji:ghost; streamline-emojis:ghost; icon-park:ghost; streamline-stickies-color:ghost ghost-duo',
  ),
  concept(
    'alarm clock, alarm clocks',
    'alarm-clock',
    'fxemoji:alarmclock; icon-park:alarm-clock; streamline-color:alarm-clock alarm-clock-flat; streamline-freehand-color:alert-alarm-clock; streamline-cyber-color:alarm; flat-color-icons:alarm-clock; fluent-color:clock-alarm-48',
  ),
]
