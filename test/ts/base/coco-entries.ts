import t from 'tap'
import { namedFile, shown } from '../../../ts/base/coco-entries.js'

t.test('the file of an entry', async t => {
  t.equal(namedFile({ file_name: 'a.jpg', coco_url: 'http://x/y/z.jpg' }), 'a.jpg')
  t.equal(namedFile({ coco_url: 'http://x/val2017/z.jpg' }), 'val2017/z.jpg')
  t.equal(namedFile({ file_name: '', coco_url: 'http://x/val2017/z.jpg' }), 'val2017/z.jpg')
  t.equal(namedFile({ file_name: 3, coco_url: '' }), undefined)
  t.equal(namedFile({}), undefined)
})

t.test('values in messages', async t => {
  t.equal(shown([1, 'a']), '[1,"a"]')
  t.equal(shown(undefined), 'nothing')
  t.equal(shown('x'.repeat(100)).length, 60)
})
